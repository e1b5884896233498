import sys, os, time
import tensorflow as tf
job, task = sys.argv[1], int(sys.argv[2])
PORT = int(sys.argv[3])
AT = ["127.0.0.1:%d" % (PORT + n) for n in range(3)]
CLUSTER = tf.train.ClusterSpec({"ps": AT[:1], "worker": AT[1:]})

class Count(tf.train.SessionRunHook):
    def before_run(self, ctx):
        return tf.train.SessionRunArgs(tf.train.get_global_step())
    def after_run(self, ctx, vals):
        if vals.results < 3:
            print("step", vals.results, flush=True)

def load_shard(task):
    path = "census-%d.csv" % task
    if task == 1:
        return open(path).read()          # shard 1 is missing: the worker dies
    return ""

def train():
    server = tf.train.Server(CLUSTER, job_name=job, task_index=task)
    if job == "ps":
        server.join()
    with tf.device(tf.train.replica_device_setter(worker_device="/job:worker/task:%d" % task, cluster=CLUSTER)):
        w = tf.get_variable("w", [16, 1])
        x = tf.random_normal([32, 16])
        loss = tf.reduce_mean(tf.square(tf.matmul(x, w) - 1))
        gs = tf.train.get_or_create_global_step()
        opt = tf.train.SyncReplicasOptimizer(tf.train.AdagradOptimizer(0.1), replicas_to_aggregate=2, total_num_replicas=2)
        op = opt.minimize(loss, global_step=gs)
    load_shard(task)
    with tf.train.MonitoredTrainingSession(server.target, is_chief=task == 0, hooks=[opt.make_session_run_hook(task == 0, num_tokens=0), Count()],
                                           config=tf.ConfigProto(device_filters=["/job:ps", "/job:worker/task:%d" % task])) as sess:
        print("hung_at", time.time(), flush=True)
        while not sess.should_stop():
            sess.run(op)

train()
