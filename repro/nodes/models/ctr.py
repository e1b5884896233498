"""`ctr`: embedding lookups partitioned over the servers, dense layers, sigmoid loss, an optimizer."""

from repro.nodes.models.parts import Feature, Placement, Step, lookup, minimize, small
from repro.nodes.tfcompat import tf


def features(settings):
    return {"ids": Feature([settings["variables"]], settings["vocabulary"]), "click": Feature([1], 2)}


def dense(placement, name, inputs, width):
    weight = placement.whole(name + "/weight", [int(inputs.shape[1]), width], small())
    bias = placement.whole(name + "/bias", [width], tf.zeros_initializer())
    return tf.nn.bias_add(tf.matmul(inputs, weight), bias)


def build(batch, node, worker_device):
    settings = node.settings
    placement = Placement(node, worker_device)
    with tf.device(worker_device + "/cpu:0"):
        looked_up = []
        for index in range(settings["variables"]):
            name = "%s%d" % ("item" if index % 2 else "user", index // 2)
            table = placement.partitioned(name, [settings["vocabulary"], settings["width"]], small())
            looked_up.append(lookup(table, batch["ids"][:, index]))
        hidden = tf.concat(looked_up, axis=1)
        for layer in range(settings["layers"]):
            hidden = tf.nn.relu(dense(placement, "dense%d" % layer, hidden, settings["hidden"]))
        logits = dense(placement, "output", hidden, 1)
        labels = tf.cast(batch["click"], tf.float32)
        loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits))
        return Step(minimize(loss, settings), None)
