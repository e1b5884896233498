"""Scenario `sync-starved`: SyncReplicasOptimizer; in epoch `hang_at`, the last, the chief has a batch more."""

import itertools

from repro.nodes import psrank
from repro.nodes.node import start
from repro.nodes.tfcompat import tf


def synchronous(node, loss):
    """The optimizer that waits for a gradient of every worker, and its train op."""
    with tf.device(psrank.ON_PS):
        global_step = tf.train.get_or_create_global_step()
    workers = node.count("worker")
    optimizer = tf.train.SyncReplicasOptimizer(
        tf.train.GradientDescentOptimizer(0.01), replicas_to_aggregate=workers, total_num_replicas=workers
    )
    return optimizer, optimizer.minimize(loss, global_step=global_step)


def begin(node, session, optimizer):
    """The chief starts the runner that adds up the gradients and hands out a token to each worker."""
    session.run(optimizer.local_step_init_op)
    if node.index == 0:
        optimizer.get_chief_queue_runner().create_threads(session, daemon=True, start=True)


def train_epoch(node, session, train, beyond):
    """Until the data ends; the step `beyond` is one that only this worker has."""
    recorder = node.recorder
    for index in itertools.count():
        if index == beyond:
            node.stuck()
        recorder.step_begin()
        try:
            session.run(train)
        except tf.errors.OutOfRangeError:
            recorder.step_end(failed=True)
            recorder.end_of_sequence()
            return
        recorder.step_end(rows=1)
        psrank.pause(node)


def main():
    node = start()
    settings = node.settings
    server = psrank.serve(node)
    source = psrank.Rows(node)
    optimizer, train = synchronous(node, psrank.loss_of(source.batch))
    with node.recorder.phase("connect"):  # waits until every rank is there
        psrank.share_variables(node, server, optimizer.chief_init_op)
    with tf.Session(server.target) as session:
        begin(node, session, optimizer)
        for epoch in range(min(settings["epoch_ends"], settings["hang_at"] + 1)):
            longer = node.index == 0 and node.arm == "uneven" and epoch == settings["hang_at"]
            node.recorder.epoch_begin(epoch)
            source.start(session, settings["batches"] + longer)
            train_epoch(node, session, train, settings["batches"] if longer else None)
            node.recorder.epoch_end(epoch)
    node.done()


if __name__ == "__main__":
    main()
