"""Scenarios `epoch-barrier` and `barrier-short`: workers meet at a barrier of two queues before the chief saves.

Each worker puts a token into `arrived` when its epoch has ended. The chief takes as many as there are workers, saves,
and puts as many into `go_on`, of which each worker takes one. Both queues live on the server.
"""

import os

from repro.nodes import psrank
from repro.nodes.node import start
from repro.nodes.tfcompat import tf


class EpochBarrier(object):
    """`count`: how many tokens the chief waits for; as many as there are workers, where it is counted right."""

    def __init__(self, workers, count):
        with tf.device(psrank.ON_PS):
            arrived = tf.FIFOQueue(-1, tf.int32, shapes=[[]], shared_name="arrived")
            go_on = tf.FIFOQueue(-1, tf.int32, shapes=[[]], shared_name="go_on")
            self._arrive = arrived.enqueue(1)
            self._all_arrived = arrived.dequeue_many(count)
            self._release = go_on.enqueue_many([[1] * workers])
            self._go_on = go_on.dequeue()

    def wait_for_all(self, session, chief, save):
        """Until every worker has come here; the chief saves when they have, and before they go on."""
        session.run(self._arrive)
        if chief:
            session.run(self._all_arrived)
            save()
            session.run(self._release)
        session.run(self._go_on)


class LostData(Exception):
    """The input of a worker cannot be read any more."""


def train_epoch(node, session, train, fails):
    for index in range(node.settings["batches"]):
        node.recorder.step_begin()
        session.run(train)
        node.recorder.step_end(rows=1)
        if fails and index == node.settings["batches"] // 2:
            raise LostData("the second half of the epoch")
        psrank.pause(node)
    node.recorder.end_of_sequence()


def main():
    node = start()
    settings, recorder = node.settings, node.recorder
    server = psrank.serve(node)
    chief, workers = node.index == 0, node.count("worker")
    source = psrank.Rows(node)
    with tf.device(psrank.ON_PS):
        trained = tf.train.get_or_create_global_step()
    train = tf.train.GradientDescentOptimizer(0.01).minimize(psrank.loss_of(source.batch), global_step=trained)
    right, wrong = EpochBarrier(workers, workers), EpochBarrier(workers, workers + 1)
    saver = tf.train.Saver(max_to_keep=1)
    with recorder.phase("connect"):  # waits until every rank is there
        psrank.share_variables(node, server)
    with tf.Session(server.target) as session:

        def save():
            with recorder.saving():
                saver.save(session, os.path.join(node.directory, "model"), write_meta_graph=False)

        for epoch in range(settings["epoch_ends"]):
            here = epoch == settings["hang_at"]
            recorder.epoch_begin(epoch)
            source.start(session, settings["batches"])
            try:
                train_epoch(node, session, train, here and node.arm == "left" and node.index == workers - 1)
            except LostData as error:
                recorder.error(error)
                break
            if here and chief and node.arm in ("miscounted", "left"):
                node.stuck()
            with recorder.barrier("epoch"):
                barrier = wrong if here and node.arm == "miscounted" else right
                barrier.wait_for_all(session, chief, save)
            recorder.epoch_end(epoch)
    node.done()


if __name__ == "__main__":
    main()
