"""Scenario `autotune-pause`: an iterator of tf.data ends, and its autotuner sleeps on.

The autotuner misses that it shall end if it runs between the call that wakes it and the moment at which the iterator
counts as cancelled. On one core a thread of the idle class makes way at once for whomever it wakes, so it always does.
"""

import os
import time

from repro.nodes.node import start

LIVES = 10.5
"""Seconds. The autotuner's sleeps double from 10 ms on: it has just begun one of 10.24 s."""


def main():
    node = start()
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})  # before the framework makes its threads
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = node.arm == "autotuner"
    dataset = tf.data.Dataset.range(1000000).map(lambda row: row + 1).prefetch(2).with_options(options)
    settings, recorder = node.settings, node.recorder

    node.ready()
    for epoch in range(settings["epoch_ends"]):
        recorder.epoch_begin(epoch)
        rows, began, batch = iter(dataset), time.time(), 0
        long = epoch == settings["hang_at"]
        while time.time() - began < LIVES if long else batch < settings["batches"]:
            recorder.step_begin()
            next(rows)
            time.sleep(settings["step_ms"] / 1000.0)
            recorder.step_end(rows=1)
            batch += 1
        if long:
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            node.stuck()
        del rows
        os.sched_setaffinity(0, cores)  # who has no rights cannot leave the idle class again
        recorder.epoch_end(epoch)
    node.done()


if __name__ == "__main__":
    main()
