"""`wide`: many small variables; for each a matmul of the batch *on its server*, summed on the worker.

So about as many tensors cross from the servers to the worker in every step as there are variables.
"""

from repro.nodes.models.parts import Feature, Placement, Step
from repro.nodes.tfcompat import tf


def features(settings):
    return {"x": Feature([settings["width"]], None)}


def build(batch, node, worker_device):
    placement = Placement(node, worker_device)
    products = []
    for index in range(node.settings["variables"]):
        weight = placement.whole("w%d" % index, [node.settings["width"], 1], tf.ones_initializer())
        with tf.device(weight.device):
            products.append(tf.matmul(batch["x"], weight))
    with tf.device(worker_device + "/cpu:0"):
        return Step(tf.add_n(products), None)
