"""A feeder and an eater, watched by the main thread."""
import queue
import threading
import time


class Stages:
    def __init__(self):
        self.waiting, self.lock, self.done = queue.Queue(2), threading.Lock(), 0

    def feed(self):
        for number in range(1000):
            with self.lock:
                self.waiting.put(number)

    def eat(self):
        while True:
            self.waiting.get()
            with self.lock:
                self.done += 1

    def report(self):
        print("done", self.done, "waiting", self.waiting.qsize(), flush=True)


stages = Stages()
threads = [threading.Thread(target=stages.feed), threading.Thread(target=stages.eat, daemon=True)]
for thread in threads:
    thread.start()
print("hung_at", time.time(), flush=True)
while any(thread.is_alive() for thread in threads):
    stages.report()
    time.sleep(1.5)
