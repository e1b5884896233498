import subprocess, sys, time

SCRIPT = r"""
def confirm():
    return input('data directory exists, overwrite? [y/N] ')
confirm()
"""


def prepare():
    p = subprocess.Popen([sys.executable, "-c", SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    print("preparing in", p.pid, "hung_at", time.time(), flush=True)
    p.stdout.read()
    p.wait()


prepare()
