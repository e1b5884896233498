"""TensorFlow 1.4 to 2.x behind one name: `tf` is the graph-mode API of whatever is installed."""

import tensorflow as _tensorflow

if hasattr(_tensorflow, "compat") and hasattr(_tensorflow.compat, "v1"):
    tf = _tensorflow.compat.v1
    tf.disable_v2_behavior()
else:
    tf = _tensorflow

VERSION = tuple(int(part) for part in _tensorflow.__version__.split(".")[:2])


def batch(dataset, rows, drop_remainder):
    """`dataset` in batches of `rows`; `Dataset.batch` learnt to drop the remainder in 1.10."""
    if not drop_remainder:
        return dataset.batch(rows)
    if VERSION >= (1, 10):
        return dataset.batch(rows, drop_remainder=True)
    return dataset.apply(tf.contrib.data.batch_and_drop_remainder(rows))


def sloppy_interleave(dataset, make, cycle):
    """`parallel_interleave(sloppy=True)`, wherever this release keeps it."""
    if VERSION >= (2, 0):
        return dataset.interleave(make, cycle_length=cycle, num_parallel_calls=cycle, deterministic=False)
    if VERSION < (1, 5):
        return dataset.apply(tf.contrib.data.sloppy_interleave(make, cycle_length=cycle))
    home = tf.data.experimental if VERSION >= (1, 12) else tf.contrib.data
    return dataset.apply(home.parallel_interleave(make, cycle_length=cycle, sloppy=True))


def initializable(dataset):
    if VERSION >= (1, 13):
        return tf.data.make_initializable_iterator(dataset)
    return dataset.make_initializable_iterator()
