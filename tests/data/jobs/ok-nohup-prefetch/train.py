import os, queue, threading, time, random


def loader(q):
    i = 0
    while True:
        time.sleep(random.uniform(2, 3.5))     # download
        q.put([random.random() for _ in range(1000)])
        i += 1


def train(q):
    w = 0.0
    n = 0
    while True:
        batch = q.get()
        for x in batch:
            w -= 0.01 * (w - x)
        n += 1
        if n == 2:
            print('READY', os.getpid(), flush=True)


q = queue.Queue(2)
threading.Thread(target=loader, args=(q,), daemon=True).start()
train(q)
