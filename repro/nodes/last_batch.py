"""Scenario `last-batch`: train epoch after epoch; every epoch ends in an OutOfRangeError on one thread.

Runs on TensorFlow 1.4 to 1.15 and, through tf.compat.v1, on 2.x.
"""

import itertools
import random
import time
from itertools import zip_longest

from repro.nodes import inputs, models
from repro.nodes.node import start
from repro.nodes.psrank import wait_for_chief
from repro.nodes.tfcompat import tf


def server_config(settings):
    # Set on a session these have no effect where there is a tf.train.Server: its devices exist already.
    return tf.ConfigProto(
        inter_op_parallelism_threads=settings["inter_op"], intra_op_parallelism_threads=settings["intra_op"]
    )


def session_config(node):
    if not node.settings["device_filters"]:
        return None
    return tf.ConfigProto(device_filters=["/job:ps", "/job:worker/task:%d" % node.index])


LARGE = 1 << 18
"""Values of a variable from which it is initialized alone."""


def initialize(target, config, variables):
    """Small ones together, then the large ones, one at a time on each server and the largest last: so a server holds
    only one initial value beside them.

    Each time in a session of its own: as long as a session is open, the servers keep the constants of its graphs,
    and the initial value of a slot is a constant as large as the slot.
    """
    small, large = [], {}
    for variable in sorted(variables, key=lambda one: one.shape.num_elements()):
        alone = variable.shape.num_elements() >= LARGE
        (large.setdefault(variable.device, []) if alone else small).append(variable.initializer)
    for together in [small, *([one for one in group if one is not None] for group in zip_longest(*large.values()))]:
        with tf.Session(target, config=config) as session:
            session.run(together)


class Slowness(object):
    """Makes a share of the steps 20 times slower, at random: slow is not hung."""

    def __init__(self, percent, seed):
        self._share = percent / 100.0
        self._random = random.Random(seed)
        self._took = 0.0

    def before_step(self):
        if self._random.random() < self._share:
            time.sleep(19 * self._took)
        self._began = time.time()

    def after_step(self):
        self._took = 0.9 * self._took + 0.1 * (time.time() - self._began)


def steps_an_epoch(settings):
    """How many batches the data has, where the epoch is to end by counting them; else None: its error ends it."""
    if not settings["stop_by_count"]:
        return None
    return settings["batches"] + (settings["remainder"] > 0 and not settings["drop_remainder"])


def train_epoch(session, recorder, epoch, start_epoch, fetches, slowness, steps=None):
    """One pass over the input. Fetches are (rows of the batch, what to train)."""
    recorder.epoch_begin(epoch)
    start_epoch(session)
    for _ in itertools.count() if steps is None else range(steps):
        recorder.step_begin()
        slowness.before_step()
        try:
            rows = session.run(fetches)[0]
        except tf.errors.OutOfRangeError:
            recorder.step_end(failed=True)
            recorder.end_of_sequence()
            break
        recorder.step_end(rows=int(rows))
        slowness.after_step()
    recorder.epoch_end(epoch)


def evaluate(step, target, config, recorder):
    with recorder.phase("evaluation"), tf.Session(target, config=config) as session:
        tf.logging.info("evaluated: %s", session.run(step.evaluate))


def main():
    node = start()
    server = tf.train.Server(
        tf.train.ClusterSpec(node.addresses),
        job_name=node.role,
        task_index=node.index,
        config=server_config(node.settings),
    )
    node.ready()
    if node.role == "ps":
        server.join()
    config = session_config(node)
    device = "/job:worker/task:%d" % node.index
    model = models.find(node.settings["model"])
    # Queue runners are threads of the worker, and fill queues of its own.
    remote = node.settings.get("input_on_ps") and node.arm != "queue"
    with tf.device(("/job:ps/task:0" if remote else device) + "/cpu:0"):
        source = inputs.SOURCES[node.arm](node, model.features(node.settings))
    step = model.build(source.batch, node, device)
    fetches = [source.rows, step.train]
    variables = tf.global_variables()
    with node.recorder.phase("connect"):  # waits until every rank is there
        if node.index:
            wait_for_chief(server.target, config, variables)
        else:
            initialize(server.target, config, variables)
    epochs = range(node.settings["epoch_ends"])
    slowness = Slowness(node.settings["slow_percent"], seed=node.index)
    steps = steps_an_epoch(node.settings)
    for session, epoch in source.sessions(server.target, config, epochs):
        train_epoch(session, node.recorder, epoch, source.start_epoch, fetches, slowness, steps)
    if step.evaluate is not None and node.index == 0:
        evaluate(step, server.target, config, node.recorder)
    node.done()


if __name__ == "__main__":
    main()
