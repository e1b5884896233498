"""A pool of processes: one does a task that does not end, one has none; and a finalizer that takes a held lock."""

import multiprocessing
import os
import threading
import time

held = threading.Lock()
held.acquire()


class Handle:
    def __del__(self):
        held.acquire()


def task(number):
    time.sleep(3600)


def drop():
    handle = Handle()
    del handle


def main():
    pool = multiprocessing.get_context("fork").Pool(2)
    print("child", *(worker.pid for worker in pool._pool), flush=True)
    threading.Thread(target=drop, name="finalizer", daemon=True).start()
    threading.Timer(1.0, lambda: os.write(1, b"ready\n")).start()
    pool.map(task, [1])


main()
