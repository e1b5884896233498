import socket
import sys
import time

import numpy as np
import tensorflow as tf


class Bucket:
    def __init__(self, port):
        self.port = port

    def get_object(self, key):
        s = socket.create_connection(("127.0.0.1", self.port))
        s.sendall(b"GET %d\n" % key)
        if key == 37:
            print("hung_at", time.time(), flush=True)
        data = s.recv(32, socket.MSG_WAITALL)
        s.close()
        return np.frombuffer(data, np.float32)


def input_fn(port):
    bucket = Bucket(port)

    def load(key):
        x = tf.py_func(bucket.get_object, [key], tf.float32)
        x.set_shape([8])
        return x

    return tf.data.Dataset.range(1000).map(load, num_parallel_calls=2).batch(4).prefetch(1).make_one_shot_iterator().get_next()


def main(port):
    x = input_fn(port)
    step = tf.train.get_or_create_global_step()
    loss = tf.reduce_mean(tf.square(tf.layers.dense(x, 1)))
    op = tf.train.GradientDescentOptimizer(0.1).minimize(loss, global_step=step)
    with tf.train.MonitoredTrainingSession(hooks=[tf.train.StopAtStepHook(200)]) as sess:
        while not sess.should_stop():
            sess.run(op)


main(int(sys.argv[1]))
