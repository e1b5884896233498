import multiprocessing as mp
import os
import time


def extract(q):
    for n in range(50):
        q.put({"n": n})
    raise RuntimeError("source file is cut short")  # and never sends the end marker


def transform(q):
    while True:
        if q.empty():
            print("hung_at", time.time(), flush=True)
        item = q.get()
        if item is None:
            return


if __name__ == "__main__":
    q = mp.Queue()
    p = mp.Process(target=extract, args=(q,))
    p.start()
    p.join()
    transform(q)
