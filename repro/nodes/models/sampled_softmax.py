"""`sampled-softmax`: the softmax over the label and the candidates, none of which comes twice."""

from repro.nodes.models import candidates
from repro.nodes.models.candidates import features  # noqa: F401
from repro.nodes.tfcompat import tf


def losses(scores, labels, sampled):
    """Of each row, `[rows]`."""
    scores = candidates.hide_labels(scores, labels, sampled)
    logits = tf.concat([scores.true, scores.sampled], axis=1)
    first = tf.zeros_like(tf.reshape(labels, [-1]))
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=first, logits=logits)


def build(batch, node, worker_device):
    return candidates.build(batch, node, worker_device, losses, unique=True)
