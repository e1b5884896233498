import sys, threading, time
import numpy as np
import tensorflow as tf

queue = tf.FIFOQueue(8, [tf.float32], shapes=[[2]])
slot = tf.placeholder(tf.float32, [2])
put = queue.enqueue(slot)
get = queue.dequeue_many(4)
sess = tf.Session()


def fill():
    for i in range(100):
        if i == 8:
            print("hung_at %f" % time.time()); sys.stdout.flush()
        sess.run(put, {slot: np.full(2, i, np.float32)})


def consume():
    return sess.run(get).mean()


feeder = threading.Thread(target=fill, name="feeder")
feeder.start()
feeder.join()  # have all of it before training starts
while True:
    print(consume())
