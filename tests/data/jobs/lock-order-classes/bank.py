import threading
import time


class Shard:
    def __init__(self, name):
        self.name, self.mutex, self.rows = name, threading.RLock(), []


class Mover(threading.Thread):
    def __init__(self, source, target, gate):
        super().__init__(name="mover-" + source.name)
        self.source, self.target, self.gate = source, target, gate

    def move_rows(self):
        with self.source.mutex:
            self.gate.wait()
            self.take_from_source()

    def take_from_source(self):
        with self.target.mutex:
            self.target.rows.extend(self.source.rows)

    def run(self):
        print("hung_at", time.time(), flush=True)
        self.move_rows()


left, right, gate = Shard("left"), Shard("right"), threading.Barrier(2)
movers = [Mover(left, right, gate), Mover(right, left, gate)]
[m.start() for m in movers]
[m.join() for m in movers]
