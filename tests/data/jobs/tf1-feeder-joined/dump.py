import threading
import time

import numpy as np
import tensorflow as tf

rows = tf.placeholder(tf.float32, [None, 2])
queue = tf.FIFOQueue(16, [tf.float32], shapes=[[2]])
put = queue.enqueue_many([rows])
take = queue.dequeue_many(4)

with tf.Session() as session:
    def feed():
        for block in range(10):
            if block == 1:
                print("hung_at", time.time(), flush=True)
            session.run(put, {rows: np.zeros([12, 2])})

    feeder = threading.Thread(target=feed)
    feeder.start()
    total = sum(float(session.run(take).sum()) for _ in range(1))  # one batch is enough for the statistics
    feeder.join()
    print("total", total)
