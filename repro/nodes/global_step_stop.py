"""Scenario `global-step-stop`: asynchronous training that ends at a global step, with workers of different speed.

Each worker has rows of its own. In arm `global-step` all stop when all together have done as many steps as there are
rows in all epochs; in arm `own-epochs` each stops when it has seen its own rows that often.
"""

import collections
import time

from repro.nodes import psrank
from repro.nodes.node import start
from repro.nodes.tfcompat import initializable, tf


def rows_of(node, epochs):
    """Numbers of this worker's rows, in order, so often."""
    with tf.device(psrank.worker_device(node)):
        iterator = initializable(tf.data.Dataset.range(node.settings["batches"]).repeat(epochs))
        return iterator, iterator.get_next()


def train(node, session, fetches, seen):
    """Until the hook or the end of the data stops it."""
    recorder, batches = node.recorder, node.settings["batches"]
    slower = node.settings["slower"] if node.index else 1
    while not session.should_stop():
        epoch, batch = divmod(sum(seen.values()), batches)
        if batch == 0:
            recorder.epoch_begin(epoch)
        recorder.step_begin()
        try:
            row = int(session.run(fetches)[0])
        except tf.errors.OutOfRangeError:
            recorder.step_end(failed=True)
            recorder.end_of_sequence()
            return
        recorder.step_end(rows=1)
        seen[row] += 1
        if batch == batches - 1:
            recorder.epoch_end(epoch)
        time.sleep(node.settings["step_ms"] * slower / 1000.0)


def main():
    node = start()
    settings = node.settings
    server = psrank.serve(node)
    rows = settings["batches"] * settings["epoch_ends"]
    together = node.arm == "global-step"
    iterator, row = rows_of(node, -1 if together else settings["epoch_ends"])
    with tf.device(psrank.ON_PS):
        trained = tf.train.get_or_create_global_step()
    loss = psrank.loss_of(tf.to_float(tf.stack([row, row])) / settings["batches"])
    minimize = tf.train.GradientDescentOptimizer(0.01).minimize(loss, global_step=trained)
    hooks = [tf.train.StopAtStepHook(last_step=rows * node.count("worker"))] if together else []
    with node.recorder.phase("connect"):  # waits until every rank is there
        psrank.share_variables(node, server)
    seen = collections.Counter()
    scaffold = tf.train.Scaffold(init_op=tf.no_op(), local_init_op=iterator.initializer)  # they are initialized
    with tf.train.MonitoredTrainingSession(
        server.target,
        is_chief=node.index == 0,
        hooks=hooks,
        scaffold=scaffold,
        config=psrank.filters(node),
        save_checkpoint_secs=None,
        save_summaries_steps=None,
        save_summaries_secs=None,
        log_step_count_steps=None,
    ) as session:
        train(node, session, [row, minimize], seen)
    node.tell(rows_trained=sum(seen.values()), distinct_rows=len(seen), rows_meant=rows, of_rows=settings["batches"])
    node.done()


if __name__ == "__main__":
    main()
