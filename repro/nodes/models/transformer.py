"""`transformer`: a GPT. Pre-norm decoder layers, causal attention; the output shares the token embedding."""

import numpy

from repro.nodes.models.parts import Feature, Placement, Step, minimize, small
from repro.nodes.tfcompat import tf


def features(settings):
    return {"tokens": Feature([settings["sequence"] + 1], settings["vocabulary"])}


@tf.RegisterGradient("DenseGather")
def _dense_gather(op, gradient):
    """The gradient of a gather as a whole tensor, for it is added to the output's, which is one."""
    table, ids = op.inputs[:2]
    width = int(table.shape[1])
    rows = tf.unsorted_segment_sum(tf.reshape(gradient, [-1, width]), tf.reshape(ids, [-1]), int(table.shape[0]))
    return [rows] + [None] * (len(op.inputs) - 1)


class Layers(object):
    """The parts of a decoder layer, on tensors `[tokens, width]`."""

    def __init__(self, placement, settings):
        self._placement = placement
        self._heads, self._width = settings["heads"], settings["width"]
        self._sequence = settings["sequence"]
        mask = numpy.triu(numpy.full([self._sequence, self._sequence], -1e9, numpy.float32), 1)
        self._mask = tf.constant(mask)

    def norm(self, name, x):
        scale = self._placement.whole(name + "/scale", [self._width], tf.ones_initializer())
        offset = self._placement.whole(name + "/offset", [self._width], tf.zeros_initializer())
        centred = x - tf.expand_dims(tf.reduce_mean(x, axis=1), 1)
        spread = tf.rsqrt(tf.reduce_mean(tf.square(centred), axis=1) + 1e-5)
        return centred * tf.expand_dims(spread, 1) * scale + offset

    def dense(self, name, x, inputs, outputs):
        weight = self._placement.whole(name + "/weight", [inputs, outputs], small(0.02))
        bias = self._placement.whole(name + "/bias", [outputs], tf.zeros_initializer())
        return tf.nn.bias_add(tf.matmul(x, weight), bias)

    def attention(self, name, x):
        width, heads = self._width, self._heads
        qkv = self.dense(name + "/qkv", x, width, 3 * width)
        shape = [-1, self._sequence, 3, heads, width // heads]
        queries, keys, values = tf.unstack(tf.transpose(tf.reshape(qkv, shape), [2, 0, 3, 1, 4]), num=3)
        scores = tf.matmul(queries * (width // heads) ** -0.5, keys, transpose_b=True) + self._mask
        mixed = tf.transpose(tf.matmul(tf.nn.softmax(scores), values), [0, 2, 1, 3])
        return self.dense(name + "/mixed", tf.reshape(mixed, [-1, width]), width, width)

    def feed_forward(self, name, x):
        wide = self.dense(name + "/wide", x, self._width, 4 * self._width)
        # The sigmoid form of the GELU: Hendrycks and Gimpel 2016, section 2.
        return self.dense(name + "/narrow", wide * tf.sigmoid(1.702 * wide), 4 * self._width, self._width)


def build(batch, node, worker_device):
    settings = node.settings
    width = settings["width"]
    placement = Placement(node, worker_device)
    with tf.device(worker_device + "/cpu:0"):
        tokens = placement.whole("tokens", [settings["vocabulary"], width], small(0.02))
        positions = placement.whole("positions", [settings["sequence"], width], small(0.02))
        layers = Layers(placement, settings)
        embedding = tf.identity(tokens)
        with tf.get_default_graph().gradient_override_map({"Gather": "DenseGather", "GatherV2": "DenseGather"}):
            x = tf.gather(embedding, batch["tokens"][:, :-1])
        x = tf.reshape(x + positions, [-1, width])
        for layer in range(settings["layers"]):
            name = "layer%d" % layer
            x += layers.attention(name, layers.norm(name + "/norm1", x))
            x += layers.feed_forward(name, layers.norm(name + "/norm2", x))
        logits = tf.matmul(layers.norm("norm", x), embedding, transpose_b=True)
        following = tf.reshape(batch["tokens"][:, 1:], [-1])
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=following, logits=logits)
        return Step(minimize(tf.reduce_mean(losses), settings), None)
