import sys
import time
import numpy as np
import tensorflow as tf


def build(cluster):
    with tf.device(tf.train.replica_device_setter(cluster=cluster)):
        a, b = tf.get_variable("a", [100, 100]), tf.get_variable("b", [100, 100])
        return tf.group(a.assign_add(tf.matmul(a, b) * 1e-6), b.assign_sub(tf.matmul(b, a) * 1e-6))


def work(target, op):
    with tf.Session(target) as sess:
        sess.run(tf.global_variables_initializer())
        n = 0
        while True:
            sess.run(op)
            n += 1
            if n == 30:
                print("steady"); sys.stdout.flush()


if __name__ == "__main__":
    what, number, base = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    address = ["127.0.0.1:%d" % (base + k) for k in range(3)]
    cluster = tf.train.ClusterSpec({"ps": address[:2], "worker": address[2:]})
    server = tf.train.Server(cluster, job_name=what, task_index=number)
    if what == "ps":
        server.join()
    work(server.target, build(cluster))
