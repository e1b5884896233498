"""Scenario `pool-exhausted`: a step takes rows from a staging area, and each take holds a thread of the inter-op pool.

`Unstage` waits inside its kernel. In epoch `hang_at` the thread that stages rows comes late: only when a step has
started all its takes. If they fill the pool, no thread is left that could stage a row.
"""

import threading

import numpy as np
from tensorflow.python.ops.data_flow_ops import StagingArea

from repro.nodes import psrank
from repro.nodes.node import start
from repro.nodes.tfcompat import tf

TAKES = 2
"""Rows that a step takes."""


class Staged(object):
    """Rows staged by a thread of its own, and taken by the step."""

    def __init__(self, node):
        self._taking = threading.Semaphore(0)
        self._orders = threading.Semaphore(0)
        self._late = False
        self._ready = threading.Semaphore(0)
        with tf.device(psrank.worker_device(node)):
            area = StagingArea([tf.float32], shapes=[[2]])
            self._stage = area.put([tf.constant([1.0, 2.0])])
            self.rows = tf.stack([self._take(area) for _ in range(TAKES)])

    def _take(self, area):
        def begins():
            self._taking.release()
            return np.float32(0)

        with tf.control_dependencies([tf.py_func(begins, [], tf.float32)]):
            return area.get()

    def stage_rows(self, session):
        while True:
            self._orders.acquire()
            if self._late:
                for _ in range(TAKES):
                    self._taking.acquire()
            for _ in range(TAKES):
                session.run(self._stage)
            self._ready.release()

    def before_step(self, late):
        """Have rows staged; if `late`, only when the step has begun to take them."""
        self._late = late
        self._orders.release()
        if not late:
            self._ready.acquire()

    def after_step(self, late):
        if late:
            self._ready.acquire()
        else:
            for _ in range(TAKES):
                self._taking.acquire()


def main():
    node = start()
    settings, recorder = node.settings, node.recorder
    server = psrank.serve(node, inter_op=TAKES + (node.arm == "spare"))
    staged = Staged(node)
    with tf.device(psrank.ON_PS):
        trained = tf.train.get_or_create_global_step()
    loss = psrank.loss_of(tf.reduce_mean(staged.rows, 0))
    train = tf.train.GradientDescentOptimizer(0.01).minimize(loss, global_step=trained)
    with recorder.phase("connect"):  # waits until every rank is there
        psrank.share_variables(node, server)
    with tf.Session(server.target) as session:
        threading.Thread(target=staged.stage_rows, args=(session,), daemon=True).start()
        for epoch in range(settings["epoch_ends"]):
            recorder.epoch_begin(epoch)
            for batch in range(settings["batches"]):
                late = epoch == settings["hang_at"] and batch == settings["batches"] - 1
                if late and node.arm == "full":
                    node.stuck()
                recorder.step_begin()
                staged.before_step(late)
                session.run(train)
                staged.after_step(late)
                recorder.step_end(rows=TAKES)
                psrank.pause(node)
            recorder.epoch_end(epoch)
        node.done()


if __name__ == "__main__":
    main()
