import os, socket, struct, sys, time
import numpy as np
import tensorflow as tf


def feature_server(srv):
    c, _ = srv.accept()
    n = 0
    while True:
        c.recv(1)
        n += 1
        if n == 12:
            print('server', os.getpid(), 'hung_at', time.time(), flush=True)
            os.read(os.pipe()[0], 1)      # asks a source that does not answer
        c.sendall(np.random.rand(8, 4).astype('float32').tobytes())


srv = socket.socket()
srv.bind(('127.0.0.1', 0))
srv.listen(1)
if os.fork() == 0:
    feature_server(srv)


def fetch():
    s = socket.create_connection(srv.getsockname())
    f = s.makefile('rb')
    while True:
        s.sendall(b'n')
        yield np.frombuffer(f.read(8 * 4 * 4), 'float32').reshape(8, 4)


class Net(tf.keras.Model):
    def __init__(self):
        super().__init__()
        self.d = tf.keras.layers.Dense(1)

    def call(self, x):
        return self.d(x)


net = Net()
opt = tf.keras.optimizers.Adam()


@tf.function
def step(x):
    with tf.GradientTape() as t:
        l = tf.reduce_mean(net(x) ** 2)
    opt.apply_gradients(zip(t.gradient(l, net.trainable_variables), net.trainable_variables))
    return l


for i, x in enumerate(tf.data.Dataset.from_generator(fetch, output_signature=tf.TensorSpec((8, 4), tf.float32))):
    if i == 10:
        print('READY', os.getpid(), flush=True)
    step(x)
