"""A service that forks a helper for each request, and a thread that writes a metrics file."""
import os
import threading
import time


class Metrics:
    def __init__(self):
        self.lock = threading.Lock()
        self.values = {}

    def add(self, key):
        with self.lock:
            self.values[key] = self.values.get(key, 0) + 1

    def save_forever(self):
        while True:
            with self.lock:
                time.sleep(0.5)  # slow disk
            time.sleep(0.01)


METRICS = Metrics()


def handle(n):
    METRICS.add("requests")
    return n * n


def serve():
    threading.Thread(target=METRICS.save_forever, daemon=True).start()
    while not METRICS.lock.locked():
        time.sleep(0.001)
    pid = os.fork()
    if pid == 0:
        print("helper", os.getpid(), "hung_at", time.time(), flush=True)
        handle(3)
        os._exit(0)
    os.waitpid(pid, 0)


serve()
