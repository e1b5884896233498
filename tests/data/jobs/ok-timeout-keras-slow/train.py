import os, time
import numpy as np
import tensorflow as tf


class Log(tf.keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if batch == 3:
            print('READY', os.getpid(), flush=True)


def gen():
    while True:
        # a simulator makes the samples, on one core
        x = np.zeros((8, 64, 64, 3), 'float32')
        for i in range(8):
            for j in range(64):
                x[i, j] = np.sin(np.arange(64 * 3).reshape(64, 3) * j)
        time.sleep(2.5)
        yield x, np.random.randint(0, 4, 8)


ds = tf.data.Dataset.from_generator(gen, output_signature=(
    tf.TensorSpec((8, 64, 64, 3), tf.float32), tf.TensorSpec((8,), tf.int64))).prefetch(1)
m = tf.keras.Sequential([tf.keras.layers.Conv2D(16, 3, activation='relu'), tf.keras.layers.GlobalAveragePooling2D(),
                         tf.keras.layers.Dense(4)])
m.compile('adam', tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
m.fit(ds, steps_per_epoch=500, epochs=3, verbose=0, callbacks=[Log()])
