"""Scenario `session-close`: worker 0 closes its session, or resets the cluster, when worker 1 has left."""

from repro.nodes import psrank
from repro.nodes.node import start
from repro.nodes.tfcompat import tf


def close(node, session, target):
    with node.recorder.barrier("close"):
        if node.arm == "reset":
            tf.Session.reset(target)
        else:
            session.close()


def main():
    node = start()
    server = psrank.serve(node)
    source = psrank.Rows(node)
    train = tf.train.GradientDescentOptimizer(0.01).minimize(psrank.loss_of(source.batch))
    with node.recorder.phase("connect"):  # waits until every rank is there
        psrank.share_variables(node, server)
    filtered = psrank.filters(node) if node.arm == "filtered" else None
    session = tf.Session(server.target, config=filtered)
    for epoch in range(min(node.settings["epoch_ends"], node.settings["hang_at"] + 1)):
        psrank.train_epoch(node, session, source, train, epoch)
    if node.index:
        session.close()
        if node.arm == "there":
            node.done()
        node.leave()
    if node.arm != "there":
        psrank.wait_until_gone(node.addresses["worker"][1])
    if node.arm in ("close", "reset"):
        node.stuck()
    close(node, session, server.target)
    node.done()


if __name__ == "__main__":
    main()
