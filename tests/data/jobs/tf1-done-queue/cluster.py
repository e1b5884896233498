import argparse, os, signal, time
import numpy as np
import tensorflow as tf

parser = argparse.ArgumentParser()
parser.add_argument("--role")
parser.add_argument("--index", type=int)
parser.add_argument("--ps_at")
parser.add_argument("--workers_at")
F = parser.parse_args()
spec = tf.train.ClusterSpec({"ps": F.ps_at.split(","), "worker": F.workers_at.split(",")})
server = tf.train.Server(spec, job_name=F.role, task_index=F.index)
N = spec.num_tasks("worker")


def done_queue():
    with tf.device("/job:ps/task:0"):
        return tf.FIFOQueue(N, tf.int32, shared_name="done")


def serve_until_done():
    """Like server.join(), but ends when all the workers have."""
    q = done_queue()
    with tf.Session(server.target) as sess:
        for i in range(N):
            print("ps waits for worker number", i, "time", time.time(), flush=True)
            sess.run(q.dequeue())
            print("ps: some worker is done", flush=True)


def work():
    with tf.device(tf.train.replica_device_setter(cluster=spec, worker_device="/job:worker/task:%d" % F.index)):
        step = tf.train.get_or_create_global_step()
        w = tf.get_variable("w", [20])
        loss = tf.reduce_sum(tf.square(w - 1.0))
        train = tf.train.AdamOptimizer(0.1).minimize(loss, global_step=step)
    enq = done_queue().enqueue(F.index)
    with tf.train.MonitoredTrainingSession(server.target, is_chief=F.index == 0) as sess:
        for i in range(30):
            sess.run(train)
            if F.index == 1 and i == 20:
                os.kill(os.getpid(), signal.SIGKILL)  # the oom killer
        sess.run(enq)
    print("worker", F.index, "done hung_at", time.time(), flush=True)


serve_until_done() if F.role == "ps" else work()
