"""Scenario `ps-strategy`: a coordinator schedules steps on one worker, which is killed in epoch `hang_at`."""

import json
import os
import signal
import socket
import time

from repro.nodes.node import start

POLL = 0.05


def coordinator_said(node, word):
    return os.path.exists(os.path.join(os.path.dirname(node.directory), "chief-0", word))


def serve(tf, node, resolver):
    server = tf.distribute.Server(resolver.cluster_spec(), job_name=node.role, task_index=node.index, protocol="grpc")
    node.ready()
    while server and not coordinator_said(node, "done"):
        if node.role == "worker" and node.arm == "worker-lost" and coordinator_said(node, "stuck"):
            os.kill(os.getpid(), signal.SIGKILL)  # as a scheduler does
        time.sleep(POLL)
    node.done()


def wait_until_gone(address):
    host, port = address.split(":")
    try:
        while True:
            socket.create_connection((host, int(port))).close()
            time.sleep(POLL)
    except OSError:
        pass


def main():
    node = start()
    os.environ["TF_CONFIG"] = json.dumps({"cluster": node.addresses, "task": {"type": node.role, "index": node.index}})
    import tensorflow as tf

    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    if node.role != "chief":
        serve(tf, node, resolver)
    node.ready()
    strategy = tf.distribute.ParameterServerStrategy(resolver)
    coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
    with strategy.scope():
        weight = tf.Variable(tf.ones([4]))

    @tf.function
    def step():
        weight.assign_add(tf.ones([4]))

    settings = node.settings
    recorder = node.recorder
    for epoch in range(settings["epoch_ends"]):
        recorder.epoch_begin(epoch)
        for batch in range(settings["batches"]):
            if epoch == settings["hang_at"] and batch == settings["batches"] - 1 and node.arm == "worker-lost":
                node.stuck()
                wait_until_gone(node.addresses["worker"][0])
            recorder.step_begin()
            coordinator.schedule(step)
            coordinator.join()
            recorder.step_end(rows=1)
        recorder.epoch_end(epoch)
    node.done()


if __name__ == "__main__":
    main()
