"""Converts a corpus in a child and looks each half second whether it has finished."""
import subprocess
import sys
import time

CODE = "import zlib, os\nd = os.urandom(1 << 20)\nfor i in range(100000):\n    d = zlib.compress(d, 9)[:1 << 20].ljust(1 << 20, b'x')\n"


def convert():
    p = subprocess.Popen([sys.executable, "-c", CODE])
    print("converting", flush=True)
    while p.poll() is None:
        time.sleep(0.5)
    return p.returncode


convert()
