"""Next-item prediction over a large vocabulary: what `sampled-softmax` and `nce` have in common.

The scores of the label and of sampled candidates are corrected by the logarithm of how often the sampler is expected
to give them: Bengio and Senecal 2008 for the softmax, Gutmann and Hyvarinen 2010 for noise-contrastive estimation.
"""

from collections import namedtuple

from repro.nodes.models.parts import Feature, Placement, Step, in_memory, lookup, minimize, small
from repro.nodes.tfcompat import tf

HIDE = -1e9
"""Added to the score of a candidate that is the row's own label."""

Scores = namedtuple("Scores", "true sampled")
"""Of the labels, `[rows, 1]`, and of the candidates for every row, `[rows, samples]`."""


def features(settings):
    return {
        "history": Feature([settings["history"]], settings["vocabulary"]),
        "next": Feature([1], settings["vocabulary"]),
    }


def sample(labels, samples, vocabulary, unique):
    """Candidates by the log-uniform distribution: ids with a low number are taken to be frequent."""
    return tf.nn.log_uniform_candidate_sampler(labels, 1, samples, unique, vocabulary)


def score(hidden, weights, biases, labels, candidates, correction):
    """Scores of the labels and of the candidates.

    `hidden` is `[rows, width]`, `weights` and `biases` lists of parts, `labels` `[rows, 1]`; `candidates` is what
    `sample` gave.
    """
    ids, expected_true, expected_sampled = candidates
    rows = tf.shape(labels)[0]
    asked = tf.concat([tf.reshape(labels, [-1]), ids], axis=0)
    weight, bias = lookup(weights, asked), lookup(biases, asked)
    true = tf.reduce_sum(hidden * weight[:rows], axis=1) + bias[:rows]
    sampled = tf.matmul(hidden, weight[rows:], transpose_b=True)
    shift = bias[rows:]
    if correction:
        true -= tf.log(tf.reshape(expected_true, [-1]))
        shift -= tf.log(expected_sampled)
    return Scores(tf.expand_dims(true, 1), sampled + shift)


def hide_labels(scores, labels, candidates):
    """The few hits are added to the scores one by one: as a matrix they would take as much memory as those."""
    hits = tf.where(tf.equal(labels, tf.expand_dims(candidates[0], 0)))
    hiding = tf.fill([tf.shape(hits)[0]], HIDE)
    shape = tf.shape(scores.sampled, out_type=tf.int64)
    return Scores(scores.true, tf.sparse_add(tf.SparseTensor(hits, hiding, shape), scores.sampled))


def full_softmax(hidden, weights, biases, labels):
    """The exact loss of each row, `[rows]`. Each server sums up its own items: only a number a row crosses."""
    sums = []
    for weight, bias in zip(weights, biases):
        with tf.device(weight.device):
            scores = tf.nn.bias_add(tf.matmul(hidden, weight, transpose_b=True), bias)
            sums.append(tf.reduce_logsumexp(scores, axis=1))
    ids = tf.reshape(labels, [-1])
    true = tf.reduce_sum(hidden * lookup(weights, ids), axis=1) + lookup(biases, ids)
    return tf.reduce_logsumexp(tf.stack(sums, axis=1), axis=1) - true


def build(batch, node, worker_device, loss_of, unique):
    """`loss_of(scores, labels, candidates)` is the loss of each row; `unique` whether no candidate comes twice."""
    settings = node.settings
    items, width = settings["vocabulary"], settings["width"]
    placement = Placement(node, worker_device)
    with tf.device(worker_device + "/cpu:0"):
        table = placement.partitioned("items", [items, width], small())
        weights = placement.partitioned("output/weight", [items, width], small())
        biases = placement.partitioned("output/bias", [items], tf.zeros_initializer())
        hidden = tf.reduce_mean(lookup(table, batch["history"]), axis=1)
        labels = batch["next"]
        candidates = [tf.stop_gradient(part) for part in sample(labels, settings["samples"], items, unique)]
        scores = score(hidden, weights, biases, labels, candidates, settings["correction"])
        train = minimize(tf.reduce_mean(loss_of(scores, labels, candidates)), settings)
        evaluated = settings["evaluated"]
        if not evaluated:
            return Step(train, None)
        rows = in_memory(evaluated, features(settings), seed=settings["seed"])
        hidden = tf.reduce_mean(lookup(table, rows["history"]), axis=1)
        return Step(train, tf.reduce_mean(full_softmax(hidden, weights, biases, rows["next"])))
