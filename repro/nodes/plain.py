"""The training loop of the scenarios without a framework."""

import time


def train(node, at_epoch_end):
    """Epochs of short steps; in the last step of each, `at_epoch_end(stuck)` does what the scenario is about.

    `stuck` is true once: in epoch `hang_at` of an arm that is to hang there.
    """
    settings = node.settings
    recorder = node.recorder
    for epoch in range(settings["epoch_ends"]):
        recorder.epoch_begin(epoch)
        for batch in range(settings["batches"]):
            recorder.step_begin()
            time.sleep(settings["step_ms"] / 1000.0)
            if batch == settings["batches"] - 1:
                at_epoch_end(epoch == settings["hang_at"])
            recorder.step_end(rows=1)
        recorder.epoch_end(epoch)
    node.done()
