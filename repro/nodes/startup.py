"""Scenario `startup`: the last parameter server does not come up, or not where the others look for it."""

import os
import time

from repro.nodes import psrank
from repro.nodes.node import start
from repro.nodes.tfcompat import tf


def wait_for_data(node):
    """As a server does whose volume has not been mounted yet."""
    began = time.time()
    while not os.path.exists(os.path.join(node.directory, "volume")):
        if node.arm == "late" and time.time() - began > 1:
            open(os.path.join(node.directory, "volume"), "w").close()
        time.sleep(0.2)


def move(node):
    """Serve on a port of one's own choice, as if told another cluster than the others were."""
    node.addresses["ps"][node.index] = "localhost:0"


def main():
    node = start()
    settings = node.settings
    if node.role == "ps" and node.index == settings["ps"] - 1:
        if node.arm == "other-port":
            move(node)
        else:
            node.ready()
            wait_for_data(node)
    server = psrank.serve(node)
    source = psrank.Rows(node)
    train = tf.train.GradientDescentOptimizer(0.01).minimize(psrank.loss_of(source.batch))
    if node.arm != "late":
        node.stuck()
    with node.recorder.phase("connect"):  # waits until every rank is there
        psrank.share_variables(node, server)
    with tf.Session(server.target) as session:
        for epoch in range(settings["epoch_ends"]):
            psrank.train_epoch(node, session, source, train, epoch)
    node.done()


if __name__ == "__main__":
    main()
