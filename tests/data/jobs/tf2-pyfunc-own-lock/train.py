import os, threading, time
import numpy as np
import tensorflow as tf

cache_lock = threading.Lock()
cache = {}


def load(idx):
    i = int(idx.numpy())
    with cache_lock:
        if i not in cache:
            cache[i] = np.random.rand(32).astype('float32')
        return cache[i]


def make_ds():
    ds = tf.data.Dataset.range(10000)
    ds = ds.map(lambda i: tf.py_function(load, [i], tf.float32), num_parallel_calls=2)
    ds = ds.map(lambda x: tf.ensure_shape(x, [32]))
    return ds.batch(16).prefetch(1)


def trim(it):
    """throw old entries away, and refill with one batch so that the cache is never empty"""
    with cache_lock:
        cache.clear()
        for _ in range(3):
            batch = next(it)
        return batch


model = tf.keras.Sequential([tf.keras.layers.Dense(8, activation='relu'), tf.keras.layers.Dense(1)])
opt = tf.keras.optimizers.SGD(0.01)
it = iter(make_ds())
print('pid', os.getpid())
for step in range(1000):
    x = next(it)
    if step == 20:
        print('READY', os.getpid(), 'hung_at', time.time(), flush=True)
        x = trim(it)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model(x) ** 2)
    g = tape.gradient(loss, model.trainable_variables)
    opt.apply_gradients(zip(g, model.trainable_variables))
