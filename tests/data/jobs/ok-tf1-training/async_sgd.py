import sys
import time
import numpy as np
import tensorflow as tf

task, ps, workers = sys.argv[1], sys.argv[2].split(","), sys.argv[3].split(",")
name, number = task.split("/")
cluster = tf.train.ClusterSpec({"ps": ps, "worker": workers})
server = tf.train.Server(cluster, job_name=name, task_index=int(number))
if name == "ps":
    server.join()
with tf.device(tf.train.replica_device_setter(cluster=cluster, worker_device="/job:worker/task:" + number)):
    x = tf.placeholder(tf.float32, [None, 10])
    loss = tf.reduce_sum(tf.layers.dense(x, 1) ** 2)
    step = tf.train.get_or_create_global_step()
    train = tf.train.AdagradOptimizer(0.1).minimize(loss, global_step=step)


def read_batch():
    time.sleep(1.5)  # a slow disk
    return np.random.rand(8, 10)


with tf.train.MonitoredTrainingSession(server.target, is_chief=number == "0") as sess:
    for n in range(10 ** 9):
        sess.run(train, {x: read_batch()})
        if n == 1:
            print("training"); sys.stdout.flush()
