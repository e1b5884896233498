"""Old queues under the new release: two producers, and a consumer that has given up after a bad row."""
import sys
import threading
import time

import tensorflow as tf

v1 = tf.compat.v1
v1.disable_eager_execution()


class Ring:
    def __init__(self, size):
        self.queue = v1.FIFOQueue(size, [tf.int64], shapes=[[]])
        self.value = v1.placeholder(tf.int64, [])
        self.push, self.pop = self.queue.enqueue(self.value), self.queue.dequeue()


def produce(session, ring, start):
    for number in range(start, start + 50):
        session.run(ring.push, {ring.value: number})


def consume(session, ring):
    for _ in range(100):
        if session.run(ring.pop) > 5:
            print("bad row, stop; hung_at", time.time() + 0.2, flush=True)
            return


def main():
    ring = Ring(8)
    with v1.Session() as session:
        workers = [threading.Thread(target=produce, args=(session, ring, start)) for start in (0, 100)]
        for worker in workers:
            worker.start()
        consume(session, ring)
        for worker in workers:
            worker.join()


sys.exit(main())
