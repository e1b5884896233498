"""Scenario `chief-first`: the chief has trained its epochs, saves and leaves; the others are not done.

They train on, because their sessions have device filters. Then they look at the model in a new session, which asks
every rank of the cluster for its devices, also the chief that has left, unless it is filtered, too.
"""

import os

from repro.nodes import psrank
from repro.nodes.epoch_barrier import EpochBarrier
from repro.nodes.node import start
from repro.nodes.tfcompat import tf


def evaluate(node, server, loss, source):
    """In a session of its own, as an evaluation has that was written apart from the training."""
    with tf.Session(server.target, config=psrank.filters(node) if node.arm == "filtered" else None) as session:
        source.start(session, 1)
        tf.logging.info("evaluated: %s", session.run(loss))


def main():
    node = start()
    settings, recorder = node.settings, node.recorder
    server = psrank.serve(node)
    chief, workers = node.index == 0, node.count("worker")
    source = psrank.Rows(node)
    with tf.device(psrank.ON_PS):
        trained = tf.train.get_or_create_global_step()
    loss = psrank.loss_of(source.batch)
    with tf.control_dependencies([tf.train.GradientDescentOptimizer(0.01).minimize(loss)]):
        train = tf.assign_add(trained, 1, use_locking=True)
    barrier = EpochBarrier(workers, workers)
    saver = tf.train.Saver()

    def save(session):
        with recorder.saving():
            saver.save(session, os.path.join(node.directory, "model"), write_meta_graph=False)
        node.tell(steps_in_the_saved_model=int(session.run(trained)))

    with recorder.phase("connect"):  # waits until every rank is there
        psrank.share_variables(node, server)
    leaves = chief and node.arm != "last"
    with tf.Session(server.target, config=psrank.filters(node)) as session:
        barrier.wait_for_all(session, chief, lambda: None)
        for epoch in range(settings["hang_at"] if leaves else settings["epoch_ends"]):
            steps = int(psrank.train_epoch(node, session, source, train, epoch))
        if node.arm == "last":
            barrier.wait_for_all(session, chief, lambda: save(session))
        elif chief:
            save(session)
    if leaves:
        node.leave()
    if not chief:
        node.tell(steps_done_by_all=steps)
        if node.arm == "leaves":
            psrank.wait_until_gone(node.addresses["worker"][0])
            node.stuck()
        evaluate(node, server, loss, source)
    node.done()


if __name__ == "__main__":
    main()
