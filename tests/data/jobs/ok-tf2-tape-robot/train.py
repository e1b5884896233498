import os, time
import numpy as np
import tensorflow as tf


def slow_read(p):
    # a tape robot
    time.sleep(4)
    return np.float32(len(p.numpy()))


names = tf.data.Dataset.from_tensor_slices(['part-%05d' % i for i in range(5000)])
ds = names.map(lambda p: tf.py_function(slow_read, [p], tf.float32), num_parallel_calls=2).batch(2).prefetch(1)
v = tf.Variable(0.0)
for i, x in enumerate(ds):
    v.assign_add(tf.reduce_sum(x))
    if i == 1:
        print('READY', os.getpid(), flush=True)
