"""What the parameter-server scenarios share: the server of each rank, and waiting for the chief's variables."""

import socket
import time

from repro.nodes.tfcompat import initializable, tf

ON_PS = "/job:ps/task:0"


def serve(node, inter_op=0):
    """This rank's server. A parameter server says that it is ready and never comes back."""
    config = tf.ConfigProto(inter_op_parallelism_threads=inter_op, intra_op_parallelism_threads=1)
    cluster = tf.train.ClusterSpec(node.addresses)
    server = tf.train.Server(cluster, job_name=node.role, task_index=node.index, config=config)
    node.ready()
    if node.role == "ps":
        server.join()
    return server


def worker_device(node):
    return "/job:worker/task:%d/cpu:0" % node.index


def wait_for_chief(target, config, variables):
    """The chief initializes the variables; the others look until it has."""
    missing = tf.report_uninitialized_variables(variables)
    with tf.Session(target, config=config) as session:
        while len(session.run(missing)):
            tf.logging.info("waiting for the chief to initialize %d variables", len(variables))
            time.sleep(0.2)


def share_variables(node, server, *after):
    """The chief initializes all global variables, then runs `after`; the others wait until it has."""
    variables = tf.global_variables()
    if node.index:
        wait_for_chief(server.target, None, variables)
        return
    with tf.Session(server.target) as session:
        session.run([variable.initializer for variable in variables])
        for operation in after:
            session.run(operation)


def filters(node):
    """A session's settings by which a worker sees the servers and itself only."""
    return tf.ConfigProto(device_filters=["/job:ps", "/job:worker/task:%d" % node.index])


def wait_until_gone(address):
    """Until nobody serves there any more."""
    host, port = address.split(":")
    while True:
        with socket.socket() as probe:
            if probe.connect_ex((host, int(port))):
                return
        time.sleep(0.05)


class Rows(object):
    """A Dataset of as many rows as each epoch is to have: `batch` is one, `start(session, rows)` begins an epoch."""

    def __init__(self, node):
        with tf.device(worker_device(node)):
            self._count = tf.placeholder(tf.int64, [])
            self._iterator = initializable(tf.data.Dataset.from_tensors([1.0, 2.0]).repeat(self._count))
            self.batch = self._iterator.get_next()

    def start(self, session, rows):
        session.run(self._iterator.initializer, {self._count: rows})


def loss_of(batch):
    """Of a model whose weights lie on the server."""
    with tf.device(ON_PS):
        weights = tf.get_variable("weights", [2], initializer=tf.ones_initializer())
    return tf.square(tf.reduce_sum(weights * batch) - 1.0)


def pause(node):
    time.sleep(node.settings["step_ms"] / 1000.0)


def train_epoch(node, session, source, train, epoch):
    """One epoch of the rank's own rows; what its last step returned."""
    recorder, batches = node.recorder, node.settings["batches"]
    recorder.epoch_begin(epoch)
    source.start(session, batches)
    for _ in range(batches):
        recorder.step_begin()
        done = session.run(train)
        recorder.step_end(rows=1)
        pause(node)
    recorder.epoch_end(epoch)
    return done
