import json, os, sys, time
import tensorflow as tf

conf = json.load(open(sys.argv[1]))
me = sys.argv[2]
hosts = conf["hosts"]
cluster = tf.train.ClusterSpec({kind: [h.replace("BASE", "") for h in hosts[kind]] for kind in hosts})
kind, _, number = me.partition("-")
server = tf.train.Server(cluster, job_name=kind, task_index=int(number))
if kind == "ps":
    server.join()
with tf.device("/job:ps/task:1"):
    v = tf.Variable(0.0)


def open_session():
    print("hung_at", time.time()); sys.stdout.flush()
    return tf.Session(server.target)


s = open_session()
s.run(v.initializer)
