"""launch.py N script args...   starts N copies with RANK and friends set."""
import os
import subprocess
import sys


def start(n, port, script):
    procs = []
    for r in range(n):
        env = dict(os.environ, RANK=str(r), LOCAL_RANK=str(r), WORLD_SIZE=str(n), MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
        procs.append(subprocess.Popen([sys.executable, "-u", *script], env=env, stdin=subprocess.PIPE))
        print("started rank", r, "as", procs[-1].pid, flush=True)
    return procs


def wait_all(procs):
    bad = 0
    for p in procs:
        bad |= p.wait()
    return bad


if __name__ == "__main__":
    sys.exit(wait_all(start(int(sys.argv[1]), sys.argv[2], sys.argv[3:])))
