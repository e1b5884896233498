"""Scenario `multi-worker`: synchronous training on TensorFlow 2; every step is an all-reduce over all workers."""

import json
import os
import time

from repro.nodes.node import start

WIDTH = 8
ROWS = 4


def write_rows(tf, node):
    """Input as a file, read again in every epoch."""
    path = os.path.join(node.data, "rows.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        for _ in range(node.settings["batches"] * ROWS):
            writer.write(tf.io.serialize_tensor(tf.ones([WIDTH])).numpy())
    return path


def dataset_of(tf, path):
    parse = lambda record: tf.ensure_shape(tf.io.parse_tensor(record, tf.float32), [WIDTH])  # noqa: E731
    dataset = tf.data.TFRecordDataset(path).map(parse).batch(ROWS, drop_remainder=True)
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return dataset.with_options(options)


def make_step(tf, strategy, variables):
    with strategy.scope():
        weights = [tf.Variable(tf.ones([WIDTH, 1])) for _ in range(variables)]

    def in_replica(rows):
        with tf.GradientTape() as tape:
            loss = tf.add_n([tf.reduce_mean(tf.square(tf.matmul(rows, weight) - 1.0)) for weight in weights])
        gradients = tape.gradient(loss, weights)
        reduced = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, gradients)
        for weight, gradient in zip(weights, reduced):
            weight.assign_sub(0.01 * gradient)
        return loss

    @tf.function
    def step(rows):
        return strategy.reduce("SUM", strategy.run(in_replica, args=(rows,)), axis=None)

    return step


def main():
    node = start()
    os.environ["TF_CONFIG"] = json.dumps(
        {"cluster": {"worker": node.addresses["worker"]}, "task": {"type": "worker", "index": node.index}}
    )
    import tensorflow as tf

    node.ready()
    with node.recorder.phase("connect"):  # waits until every worker is there
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
        path = write_rows(tf, node)
        step = make_step(tf, strategy, node.settings["variables"])
    recorder = node.recorder
    for epoch in range(node.settings["epoch_ends"]):
        recorder.epoch_begin(epoch)
        # The same number of steps everywhere, so that no worker is alone at the end.
        rows = iter(strategy.experimental_distribute_dataset(dataset_of(tf, path).take(node.settings["batches"])))
        for _ in range(node.settings["batches"]):
            recorder.step_begin()
            step(next(rows))
            recorder.step_end(rows=ROWS)
            time.sleep(node.settings["pause_ms"] / 1000.0)
        recorder.end_of_sequence()
        recorder.epoch_end(epoch)
    node.done()


if __name__ == "__main__":
    main()
