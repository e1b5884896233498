import os
import signal
import threading
import time

totals = {"steps": 0}
lock = threading.Lock()


def flush_totals(signum, frame):
    with lock:
        with open("totals.txt", "w") as f:
            f.write(str(totals))


signal.signal(signal.SIGUSR1, flush_totals)


def count():
    with lock:
        totals["steps"] += 1
        if totals["steps"] == 1000:
            print("hung_at", time.time(), flush=True)
            os.kill(os.getpid(), signal.SIGUSR1)  # the scheduler's warning before preemption


while True:
    count()
