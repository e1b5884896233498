import os, threading, time
import numpy as np
import tensorflow as tf


class Sensor(threading.Thread):
    def __init__(self, sess, coord, enq, ph):
        threading.Thread.__init__(self)
        self.daemon = True
        self.a = (sess, coord, enq, ph)

    def run(self):
        sess, coord, enq, ph = self.a
        while not coord.should_stop():
            time.sleep(6)               # the sensor is slow
            for _ in range(8):
                sess.run(enq, {ph: np.random.rand(16)})


ph = tf.placeholder(tf.float32, [16])
q = tf.FIFOQueue(32, [tf.float32], shapes=[[16]])
x = q.dequeue_many(8)
w = tf.get_variable('w', [16, 1])
loss = tf.reduce_mean(tf.square(tf.matmul(x, w) - 1.0))
train = tf.train.GradientDescentOptimizer(0.01).minimize(loss)
coord = tf.train.Coordinator()
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    Sensor(sess, coord, q.enqueue(ph), ph).start()
    for step in range(1000):
        _, l = sess.run([train, loss])
        print('READY' if step == 1 else 'step', step, l, flush=True)
