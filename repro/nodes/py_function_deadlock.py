"""Scenario `py-function-deadlock`: a py_function needs the lock that its step's caller holds."""

import threading

from repro.nodes.node import start

STATISTICS = threading.Lock()


def main():
    node = start()
    import tensorflow as tf

    settings = node.settings
    recorder = node.recorder
    seen = [0]

    def count(row):
        with STATISTICS:
            seen[0] += 1
        return row

    dataset = tf.data.Dataset.range(settings["batches"]).map(
        lambda row: tf.ensure_shape(tf.py_function(count, [row], tf.int64), [])
    )
    node.ready()
    for epoch in range(settings["epoch_ends"]):
        recorder.epoch_begin(epoch)
        batches = iter(dataset)
        for batch in range(settings["batches"]):
            recorder.step_begin()
            # The first batch of an epoch: the others may have been made ahead.
            if batch == 0 and epoch == settings["hang_at"] and node.arm == "lock-held":
                with STATISTICS:
                    node.stuck()
                    next(batches)
            else:
                next(batches)
            recorder.step_end(rows=1)
        recorder.epoch_end(epoch)
    node.done()


if __name__ == "__main__":
    main()
