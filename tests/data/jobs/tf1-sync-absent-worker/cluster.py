import sys, os, subprocess, time
import tensorflow as tf
# one ps, two workers; started by the script itself; worker 1 trains nothing: it died of a bad flag
PORTS = [int(sys.argv[1]) + k for k in range(3)]
cluster = {'ps': ['127.0.0.1:%d' % PORTS[0]], 'worker': ['127.0.0.1:%d' % p for p in PORTS[1:]]}


def run(job, idx):
    server = tf.train.Server(tf.train.ClusterSpec(cluster), job_name=job, task_index=idx)
    if job == 'ps':
        server.join()
    with tf.device(tf.train.replica_device_setter(cluster=cluster, worker_device='/job:worker/task:%d' % idx)):
        gs = tf.train.get_or_create_global_step()
        w = tf.get_variable('w', [10, 1])
        loss = tf.reduce_mean(tf.square(tf.matmul(tf.random_normal([8, 10]), w) - 1))
        opt = tf.train.SyncReplicasOptimizer(tf.train.GradientDescentOptimizer(0.01), replicas_to_aggregate=2,
                                             total_num_replicas=2)
        train = opt.minimize(loss, global_step=gs)
        hook = opt.make_session_run_hook(is_chief=(idx == 0), num_tokens=0)
    print('READY', job, idx, os.getpid(), 'hung_at', time.time(), flush=True)
    with tf.train.MonitoredTrainingSession(master=server.target, is_chief=(idx == 0), hooks=[hook]) as sess:
        for _ in range(1000):
            sess.run(train)


if len(sys.argv) > 2:
    run(sys.argv[2], int(sys.argv[3]))
else:
    kids = [subprocess.Popen([sys.executable, __file__, sys.argv[1], j, i]) for j, i in (('ps', '0'), ('worker', '0'))]
    print('top', os.getpid(), flush=True)
    for k in kids:
        k.wait()
