import multiprocessing as mp
import os
import queue
import signal
import time


def fill(n, q):
    for i in range(100):
        time.sleep(0.01)
        q.put((n, i))
        if i == 30:
            time.sleep(0.2)
            os.kill(os.getpid(), signal.SIGKILL)  # cgroup limit


class Batches:
    def __init__(self, workers):
        self.q = mp.Queue(10)
        self.workers = [mp.Process(target=fill, args=(n, self.q), daemon=True) for n in range(workers)]
        for w in self.workers:
            w.start()

    def __iter__(self):
        for _ in range(100 * len(self.workers)):
            yield self.fetch()

    def fetch(self):
        while True:
            try:
                return self.q.get(timeout=0.25)
            except queue.Empty:
                continue


def train():
    for n, sample in enumerate(Batches(2)):
        if n == 61:
            print("last but one hung_at", time.time() + 0.2, flush=True)


train()
