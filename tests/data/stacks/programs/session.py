"""TensorFlow 1: a step that waits for a queue on a server, for one of its own, or a session that lacks a server."""

import sys

import tensorflow as tf

way, task, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
cluster = tf.train.ClusterSpec({"ps": [f"127.0.0.1:{port}"], "worker": [f"127.0.0.1:{port + 1}"]})


def serve():
    tf.train.Server(cluster, "ps", 0).join()


def step(device, target):
    with tf.device(device):
        taken = tf.FIFOQueue(1, [tf.float32], shared_name="tokens").dequeue()
    with tf.Session(target) as session:
        session.run(taken)


print("ready", flush=True)
if task == "ps":
    serve()
elif way == "local":
    step("", "")
else:
    step("/job:ps/task:0", tf.train.Server(cluster, "worker", 0).target)
