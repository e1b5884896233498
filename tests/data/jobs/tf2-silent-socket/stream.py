import socket, sys, threading, time
import numpy as np
import tensorflow as tf


def broker(listener):
    peer, _ = listener.accept()
    for i in range(64):
        peer.sendall(b"%d\n" % i)
    print("hung_at", time.time(), flush=True)
    threading.Event().wait()


def records():
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as s:
        for line in s.makefile("rb"):
            yield np.array([float(line)], np.float32), np.array([1.0], np.float32)


listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
threading.Thread(target=broker, args=(listener,), daemon=True).start()
spec = tf.TensorSpec([1], tf.float32)
data = tf.data.Dataset.from_generator(records, output_signature=(spec, spec)).batch(8)
model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(data, epochs=1, verbose=0)
