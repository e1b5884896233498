"""`nce`: tell the label from noise. Candidates are drawn with replacement: what is expected is exact then, and a
candidate that is the label counts as noise, so that the scores learn to be normalised."""

from repro.nodes.models import candidates
from repro.nodes.models.candidates import features  # noqa: F401
from repro.nodes.tfcompat import tf


def losses(scores, labels, sampled):
    """Of each row, `[rows]`."""
    return tf.nn.softplus(-scores.true[:, 0]) + tf.reduce_sum(tf.nn.softplus(scores.sampled), axis=1)


def build(batch, node, worker_device):
    return candidates.build(batch, node, worker_device, losses, unique=False)
