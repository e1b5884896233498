"""Scenario `mwms-uneven`: each worker trains its own batches; worker 0 may have one more in epoch `hang_at`."""

import json
import os

from repro.nodes.node import start


def main():
    node = start()
    os.environ["TF_CONFIG"] = json.dumps({"cluster": node.addresses, "task": {"type": "worker", "index": node.index}})
    import tensorflow as tf  # reads TF_CONFIG

    strategy = tf.distribute.MultiWorkerMirroredStrategy()

    def replica_step(rows):
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(rows))  # an input has no device

    @tf.function
    def train_step(rows):
        return strategy.run(replica_step, args=(rows,))

    settings = node.settings
    recorder = node.recorder
    rows = tf.ones([4])
    node.ready()
    for epoch in range(min(settings["epoch_ends"], settings["hang_at"] + 1)):
        recorder.epoch_begin(epoch)
        more = node.arm == "uneven" and node.index == 0 and epoch == settings["hang_at"]
        for batch in range(settings["batches"] + (1 if more else 0)):
            if batch == settings["batches"]:
                node.stuck()
            recorder.step_begin()
            train_step(rows)
            recorder.step_end(rows=4)
        recorder.epoch_end(epoch)
    node.done()


if __name__ == "__main__":
    main()
