import numpy as np
import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
x = np.random.rand(20000, 50).astype("float32")
model = tf.keras.Sequential([tf.keras.layers.Dense(200, "relu"), tf.keras.layers.Dense(1)])
model.compile("adam", "mse")


class Say(tf.keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 0:
            print("epoch", flush=True)


model.fit(x, x[:, :1], batch_size=16, epochs=10 ** 6, verbose=0, callbacks=[Say()])
