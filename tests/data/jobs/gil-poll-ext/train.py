import ctypes
import os
import random
import threading
import time

ring = ctypes.PyDLL(os.path.abspath("./ring.so"))


class Feeder(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True, name="feeder")

    def decode(self, n):
        time.sleep(0.05)
        return random.randrange(100) + n

    def run(self):
        n = 0
        while True:
            ring.ring_put(self.decode(n))
            n += 1


def next_sample():
    return ring.ring_get()


def train():
    print("hung_at", time.time(), flush=True)
    total = 0
    for step in range(1000):
        total += next_sample()
        print(step, total, flush=True)


Feeder().start()
time.sleep(0.01)
train()
