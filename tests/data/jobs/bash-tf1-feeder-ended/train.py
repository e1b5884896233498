import os, threading, time
import numpy as np
import tensorflow as tf

BATCH = 8


def feeder(sess, coord, enqueue, ph, n):
    """reads records; a bad one ends the thread, as it did in the old reader"""
    for i in range(n):
        if coord.should_stop():
            return
        rec = np.random.rand(16).astype(np.float32)
        try:
            if i == 55:
                rec = rec[:10]
            sess.run(enqueue, {ph: rec})
        except ValueError:
            return


def main():
    ph = tf.placeholder(tf.float32, [16])
    q = tf.FIFOQueue(64, [tf.float32], shapes=[[16]])
    enq = q.enqueue(ph)
    x = q.dequeue_many(BATCH)
    w = tf.get_variable('w', [16, 1])
    loss = tf.reduce_mean(tf.square(tf.matmul(x, w) - 1.0))
    train = tf.train.GradientDescentOptimizer(0.01).minimize(loss)
    coord = tf.train.Coordinator()
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        t = threading.Thread(target=feeder, args=(sess, coord, enq, ph, 10 ** 6))
        t.daemon = True
        t.start()
        step = 0
        while not coord.should_stop():
            if step == 6:
                print('READY', os.getpid(), 'hung_at', time.time(), flush=True)
            _, l = sess.run([train, loss])
            step += 1
        coord.join([t])


if __name__ == '__main__':
    main()
