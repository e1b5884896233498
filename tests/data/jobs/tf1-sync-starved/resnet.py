"""Synchronous training with parameter servers.

resnet.py --kind server|trainer --nr N --servers a:1,b:2 --trainers c:3,d:4
"""
import time

import numpy as np
import tensorflow as tf

F = tf.app.flags.FLAGS
tf.app.flags.DEFINE_string("kind", "", "")
tf.app.flags.DEFINE_integer("nr", 0, "")
tf.app.flags.DEFINE_string("servers", "", "")
tf.app.flags.DEFINE_string("trainers", "", "")


def wait_for_pickup():
    print("no more data, hung_at", time.time())
    import sys
    sys.stdout.flush()
    time.sleep(10 ** 6)


def main(_):
    cluster = tf.train.ClusterSpec({"ps": F.servers.split(","), "worker": F.trainers.split(",")})
    job = {"server": "ps", "trainer": "worker"}[F.kind]
    server = tf.train.Server(cluster, job_name=job, task_index=F.nr)
    if job == "ps":
        return server.join()
    trainers = cluster.num_tasks("worker")
    with tf.device(tf.train.replica_device_setter(cluster=cluster, worker_device="/job:worker/task:%d" % F.nr)):
        x = tf.placeholder(tf.float32, [None, 3])
        w = tf.get_variable("w", [3, 1])
        loss = tf.reduce_mean(tf.matmul(x, w) ** 2)
        step = tf.train.get_or_create_global_step()
        opt = tf.train.SyncReplicasOptimizer(tf.train.AdamOptimizer(), trainers, total_num_replicas=trainers)
        op = opt.minimize(loss, global_step=step)
    hook = opt.make_session_run_hook(F.nr == 0, num_tokens=0)
    shard = 6 if F.nr == 1 else 1000
    with tf.train.MonitoredTrainingSession(server.target, is_chief=F.nr == 0, hooks=[hook]) as session:
        for _ in range(shard):
            session.run(op, {x: np.ones([4, 3])})
        wait_for_pickup()


tf.app.run()
