import gc, threading, time

free_lock = threading.Lock()
free = []


class Buffer:
    def __init__(self, number):
        self.number = number
        self.me = self  # a cycle: only the collector ends it

    def __del__(self):
        with free_lock:
            free.append(self.number)


def reserve(n):
    with free_lock:
        if n == 5000:
            print("hung_at", time.time(), flush=True)
            gc.collect()
        if free:
            return free.pop()
    return n


gc.disable()
for n in range(10000):
    Buffer(reserve(n))
