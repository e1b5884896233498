"""Scenario `queue-runners-off`: a new session for each epoch; in one of them nobody starts the runners."""

from repro.nodes.node import start
from repro.nodes.tfcompat import tf


def main():
    node = start()
    settings = node.settings
    rows = tf.train.batch([tf.constant([1.0])], batch_size=2)
    total = tf.reduce_sum(rows)
    recorder = node.recorder
    node.ready()
    for epoch in range(settings["epoch_ends"]):
        stuck = epoch == settings["hang_at"] and node.arm == "off"
        with tf.Session() as session:
            session.run(tf.local_variables_initializer())
            coordinator = tf.train.Coordinator()
            threads = [] if stuck else tf.train.start_queue_runners(session, coordinator)
            recorder.epoch_begin(epoch)
            for batch in range(settings["batches"]):
                if stuck and batch == 0:
                    node.stuck()
                recorder.step_begin()
                session.run(total)
                recorder.step_end(rows=2)
            recorder.epoch_end(epoch)
            coordinator.request_stop()
            coordinator.join(threads, stop_grace_period_secs=60)
    node.done()


if __name__ == "__main__":
    main()
