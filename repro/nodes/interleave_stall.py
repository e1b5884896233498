"""Scenario `interleave-stall`: a Dataset reads several files in turn, and one of them does not open.

A FIFO that nobody writes to stands for a file whose server does not answer: open() waits.
"""

import os

from repro.nodes.node import start

FILES = 2


def main():
    node = start()
    import tensorflow as tf

    settings = node.settings
    paths = [os.path.join(node.data, "part-%d.tfrecord" % index) for index in range(FILES)]
    for path in paths:
        with tf.io.TFRecordWriter(path) as writer:
            for _ in range(settings["batches"]):
                writer.write(b"row")
    silent = os.path.join(node.data, "part-silent.tfrecord")
    os.mkfifo(silent)
    recorder = node.recorder
    node.ready()
    for epoch in range(settings["epoch_ends"]):
        stuck = epoch == settings["hang_at"] and node.arm == "silent-file"
        files = tf.data.Dataset.from_tensor_slices([*paths[:-1], silent] if stuck else paths)
        rows = files.interleave(tf.data.TFRecordDataset, cycle_length=FILES, num_parallel_calls=FILES)
        recorder.epoch_begin(epoch)
        batches = iter(rows.batch(FILES))
        for batch in range(settings["batches"]):
            if stuck and batch == 0:
                node.stuck()
            recorder.step_begin()
            next(batches)
            recorder.step_end(rows=FILES)
        recorder.epoch_end(epoch)
    node.done()


if __name__ == "__main__":
    main()
