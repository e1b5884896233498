"""Scenario `first-step-compile`: the first call of a tf.function traces and optimizes thousands of operations."""

from repro.nodes.node import start
from repro.nodes.plain import train

LAYERS = 2500


def main():
    node = start()
    import tensorflow as tf

    weights = [tf.Variable(tf.eye(4)) for _ in range(4)]

    @tf.function
    def step(rows):
        for layer in range(LAYERS):
            rows = tf.tanh(rows @ weights[layer % len(weights)]) + float(layer)
        return rows

    compiled = []

    def at_epoch_end(stuck):
        if not compiled:
            node.stuck()
        compiled.append(step(tf.ones([4, 4])))

    node.ready()
    train(node, at_epoch_end)


if __name__ == "__main__":
    main()
