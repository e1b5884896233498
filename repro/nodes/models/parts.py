"""What the models share: features, variables on servers, optimizers."""

from collections import namedtuple

from repro.nodes.tfcompat import tf

Feature = namedtuple("Feature", "shape below")
"""Whole numbers from 0 up to, not including, `below`; or, where that is None, floats that are one."""

Step = namedtuple("Step", "train evaluate")
"""`train` is run for every batch; `evaluate` once when training is done, or is None."""


def in_memory(rows, features, seed):
    """Features of so many rows as tensors, made by the graph: as constants they would be in every copy of it."""
    return {
        name: tf.ones([rows, *feature.shape])
        if feature.below is None
        else tf.random_uniform([rows, *feature.shape], maxval=feature.below, dtype=tf.int64, seed=seed)
        for name, feature in features.items()
    }


OPTIMIZERS = {
    "sgd": lambda: tf.train.GradientDescentOptimizer(0.05),
    "momentum": lambda: tf.train.MomentumOptimizer(0.05, 0.9),
    "adagrad": lambda: tf.train.AdagradOptimizer(0.05),
    "adam": lambda: tf.train.AdamOptimizer(0.001),
}


def small(scale=0.05):
    return tf.random_uniform_initializer(-scale, scale, seed=1)


class Placement(object):
    """Puts variables on the servers, or on the worker where there are none.

    A partitioned one has an equal share of its rows on every server, each other one goes where least is so far:
    the rule of `repro.workloads.placement`.
    """

    def __init__(self, node, worker_device):
        servers = node.count("ps")
        homes = ["/job:ps/task:%d" % index for index in range(servers)] or [worker_device]
        self.devices = [home + "/cpu:0" for home in homes]
        self._load = [0] * len(homes)

    def whole(self, name, shape, initializer):
        index = self._load.index(min(self._load))
        return self._make(index, name, shape, initializer)

    def partitioned(self, name, shape, initializer):
        """A list of variables, for lookups with `partition_strategy="div"`: the first ones have the odd rows."""
        share, odd = divmod(shape[0], len(self.devices))
        return [
            self._make(index, "%s/part%d" % (name, index), [share + (index < odd), *shape[1:]], initializer)
            for index in range(len(self.devices))
        ]

    def _make(self, index, name, shape, initializer):
        size = 1
        for length in shape:
            size *= length
        self._load[index] += size
        with tf.device(self.devices[index]):
            return tf.get_variable(name, shape, initializer=initializer)


def lookup(parts, ids):
    return tf.nn.embedding_lookup(parts, ids, partition_strategy="div")


def minimize(loss, settings):
    """The op that trains; gradients are computed on the device of the caller's scope."""
    global_step = tf.train.get_or_create_global_step()
    return OPTIMIZERS[settings["optimizer"]]().minimize(loss, global_step=global_step)
