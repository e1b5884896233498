"""A child that was forked while a thread held a lock, and waits for it; its parent joins it."""

import multiprocessing
import threading
import time

counted = threading.Lock()


def count():
    with counted:
        return 1


def hold():
    counted.acquire()
    time.sleep(3600)


def main():
    threading.Thread(target=hold, name="holder", daemon=True).start()
    time.sleep(0.2)
    child = multiprocessing.get_context("fork").Process(target=count, daemon=True)
    child.start()
    print("child", child.pid, flush=True)
    time.sleep(0.5)
    print("ready", flush=True)
    child.join()


main()
