import sys, time
import numpy as np
import tensorflow as tf

role, ports = sys.argv[1], sys.argv[2:]
cluster = tf.train.ClusterSpec({"ps": ["127.0.0.1:" + ports[0]], "worker": ["127.0.0.1:" + ports[1]]})
server = tf.train.Server(cluster, job_name=role, task_index=0)


def simulate():
    """A batch from a simulator: some seconds of Python."""
    end, x = time.time() + 4, 0.5
    while time.time() < end:
        x = 3.7 * x * (1 - x)
    return np.full([8, 4], x, np.float32)


if role == "ps":
    server.join()
with tf.device(tf.train.replica_device_setter(cluster=cluster)):
    step = tf.train.get_or_create_global_step()
    x = tf.placeholder(tf.float32, [8, 4])
    loss = tf.reduce_mean(tf.layers.dense(x, 1) ** 2)
    op = tf.train.GradientDescentOptimizer(0.1).minimize(loss, global_step=step)
with tf.train.MonitoredTrainingSession(server.target, is_chief=True) as sess:
    while True:
        print("step", sess.run([step, op], {x: simulate()})[0], flush=True)
