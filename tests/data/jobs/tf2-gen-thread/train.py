import queue
import threading
import time

import numpy as np
import tensorflow as tf

samples = queue.Queue(maxsize=8)


def parse(n):
    row = "1,2,3,4" if n != 40 else "1,2,,4"
    return np.array([float(v) for v in row.split(",")], "float32")


def background_reader():
    n = 0
    while True:
        samples.put(parse(n))
        n += 1


def stream():
    while True:
        yield samples.get()


def make_dataset():
    spec = tf.TensorSpec([4], tf.float32)
    return tf.data.Dataset.from_generator(stream, output_signature=spec).batch(4).prefetch(2)


def fit(epochs=3):
    model = tf.keras.Sequential([tf.keras.layers.Dense(8, "relu"), tf.keras.layers.Dense(1)])
    opt = tf.keras.optimizers.SGD(0.01)
    for i, x in enumerate(make_dataset()):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model(x) ** 2)
        opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
        print("step", i, float(loss), flush=True)


threading.Thread(target=background_reader, daemon=True, name="reader").start()
fit()
