"""Scenario `from-generator-stall`: a Dataset takes its rows from a generator, which waits for one that never comes."""

import queue
import subprocess
import sys
import threading

from repro.nodes.node import start

# Answers each request, until it is told not to.
SOURCE = "import os, time\nwhile os.read(0, 1) == b'?': os.write(1, b'x')\ntime.sleep(1 << 20)"


def from_source(node):
    """Rows of another process, asked for one by one."""
    source = subprocess.Popen([sys.executable, "-S", "-c", SOURCE], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def rows(count, stuck):
        for row in range(count):
            last = stuck and row == count - 1
            if last:
                node.stuck()
            source.stdin.write(b"!" if last else b"?")
            source.stdin.flush()
            source.stdout.read(1)
            yield 1.0

    return rows


def from_thread(node):
    """Rows that a thread of this process reads ahead; an exception, which nobody sees, may end it."""

    def produce(taken, count, stuck):
        for row in range(count):
            if stuck and row == count - 1:
                node.stuck()
                raise ValueError("row %d is damaged" % row)
            taken.put(1.0)

    def rows(count, stuck):
        taken = queue.Queue(2)
        producer = threading.Thread(target=produce, args=(taken, count, stuck))
        producer.daemon = True
        producer.start()
        for _ in range(count):
            yield taken.get()

    return rows


def main():
    node = start()
    import tensorflow as tf

    settings = node.settings
    recorder = node.recorder
    rows = from_source(node) if node.arm == "silent-source" else from_thread(node)
    node.ready()
    for epoch in range(settings["epoch_ends"]):
        stuck = epoch == settings["hang_at"] and node.arm != "fed"
        dataset = tf.data.Dataset.from_generator(
            lambda stuck=stuck: rows(settings["batches"], stuck), output_signature=tf.TensorSpec([], tf.float32)
        )
        recorder.epoch_begin(epoch)
        batches = iter(dataset)
        for _ in range(settings["batches"]):
            recorder.step_begin()
            next(batches)
            recorder.step_end(rows=1)
        recorder.epoch_end(epoch)
    node.done()


if __name__ == "__main__":
    main()
