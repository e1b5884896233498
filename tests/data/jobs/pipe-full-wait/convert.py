import subprocess
import sys
import time


def convert(path):
    p = subprocess.Popen([sys.executable, "-c", "import sys\nfor i in range(100000): print('frame', i, 'ok')"], stdout=subprocess.PIPE)
    print("converter", p.pid, "hung_at", time.time(), flush=True)
    code = p.wait()
    return code, p.stdout.read()


convert("movie.mkv")
