"""Between-graph replication: one ps, two workers. python wide.py {ps|worker} N hosts..."""
import os
import sys
import time

import numpy as np
import tensorflow as tf

job, task = sys.argv[1], int(sys.argv[2])
cluster = tf.train.ClusterSpec({"ps": sys.argv[3:4], "worker": sys.argv[4:]})
server = tf.train.Server(cluster, job_name=job, task_index=task)


def load_vocab(path):
    """The preprocessing job removes the .tmp mark when it has written everything."""
    while os.path.exists(path + ".tmp"):
        time.sleep(1.0)
    return open(path).read().split()


def model(size):
    with tf.device(tf.train.replica_device_setter(cluster=cluster, worker_device="/job:worker/task:%d" % task)):
        step = tf.train.get_or_create_global_step()
        x = tf.placeholder(tf.float32, [None, size])
        w = tf.get_variable("w", [size, 1])
        loss = tf.reduce_mean(tf.square(tf.matmul(x, w) - 1.0))
        return x, tf.train.GradientDescentOptimizer(0.01).minimize(loss, step)


def train():
    x, op = model(100)
    if task == 0:
        print("chief hung_at", time.time(), flush=True)
        load_vocab("vocab.txt")
    with tf.train.MonitoredTrainingSession(master=server.target, is_chief=task == 0, hooks=[tf.train.StopAtStepHook(1000)]) as sess:
        while not sess.should_stop():
            sess.run(op, {x: np.random.rand(8, 100)})


if job == "ps":
    print("ps serves", flush=True)
    server.join()
else:
    if task == 0:
        open("vocab.txt", "w").write("a b c")
        open("vocab.txt.tmp", "w").close()
    print("worker", task, "starts", flush=True)
    train()
