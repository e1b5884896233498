import sys, time
import numpy as np
import tensorflow as tf

role, index, ps, workers = sys.argv[1], int(sys.argv[2]), sys.argv[3].split(","), sys.argv[4].split(",")
spec = tf.train.ClusterSpec({"ps": ps, "worker": workers})
server = tf.train.Server(spec, job_name=role, task_index=index)
if role == "ps":
    server.join()

with tf.device(tf.train.replica_device_setter(cluster=spec)):
    images = tf.train.slice_input_producer([tf.constant(np.ones([60, 5], np.float32))], shuffle=True)
    batch = tf.train.batch(images, batch_size=10)
    logits = tf.layers.dense(batch, 2)
    train = tf.train.GradientDescentOptimizer(0.1).minimize(tf.reduce_sum(logits))


def loop(sess):
    print("hung_at", time.time()); sys.stdout.flush()
    while True:
        sess.run(train)


with tf.Session(server.target) as sess:
    sess.run(tf.global_variables_initializer())
    loop(sess)
