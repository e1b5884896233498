"""Starts the tensorboard of a run by a script, and goes on with training."""
import subprocess
import time

SCRIPT = """
echo starting board for $1
sleep 86400 &
echo board runs
"""


def start_board(run):
    p = subprocess.Popen(["sh", "-c", SCRIPT, "board.sh", run], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    out, _ = p.communicate()
    return out


def main():
    print("hung_at", time.time(), flush=True)
    print(start_board("run-17"))
    for step in range(100):
        time.sleep(0.01)


main()
