import atexit
import multiprocessing
import os
import time


def sync_runs(inbox):
    print("syncer", os.getpid(), flush=True)
    while True:
        what = inbox.get()
        if what == "stop":
            return


class Run:
    def __init__(self):
        ctx = multiprocessing.get_context("spawn")
        self.inbox = ctx.SimpleQueue()
        self.helper = ctx.Process(target=sync_runs, args=(self.inbox,))
        self.helper.start()
        atexit.register(self.finish)

    def log(self, value):
        self.inbox.put(value)

    def finish(self):
        print("finishing, hung_at", time.time(), flush=True)
        self.helper.join()


if __name__ == "__main__":
    run = Run()
    for n in range(100):
        run.log(n)
    time.sleep(1)
