import json
import os
import sys
import time

role, number, ports = sys.argv[1], int(sys.argv[2]), [f"127.0.0.1:{p}" for p in sys.argv[3:]]
os.environ["TF_CONFIG"] = json.dumps({
    "cluster": {"chief": ports[:1], "ps": ports[1:2], "worker": ports[2:]}, "task": {"type": role, "index": number},
})
import tensorflow as tf  # noqa: E402

resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()


def serve():
    s = tf.distribute.Server(resolver.cluster_spec(), job_name=role, task_index=number, protocol="grpc", start=True)
    print(role, number, "serves", flush=True)
    s.join()


def coordinate():
    strategy = tf.distribute.ParameterServerStrategy(resolver)
    c = tf.distribute.coordinator.ClusterCoordinator(strategy)
    with strategy.scope():
        v = tf.Variable(tf.zeros([10]))

    @tf.function
    def step():
        v.assign_add(tf.random.normal([10]))
        return tf.reduce_sum(v)

    for epoch in range(1000):
        for _ in range(5):
            c.schedule(step)
        c.join()
        print("epoch", epoch, flush=True)
        time.sleep(0.2)


coordinate() if role == "chief" else serve()
