"""Candidate sampling on a real TensorFlow: the gradient of a sample against the exact one, and NCE's normalisation."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from repro.runtimes import Runtime

ROOT = Path(__file__).resolve().parents[2]
Get = Callable[[str], Runtime]

# The bias is the mean of many sampled gradients against the exact one; what is left of chance in the mean is said too.
BIAS = """
import json, sys
import numpy as np
from repro.nodes.models import candidates, sampled_softmax
from repro.nodes.tfcompat import tf
ITEMS, WIDTH, ROWS, TIMES = 60, 8, 16, 1000
chance = np.random.RandomState(7)
tf.set_random_seed(7)
hidden = tf.constant(chance.normal(size=[ROWS, WIDTH]).astype("f"))
weights = [tf.constant(chance.normal(size=[ITEMS // 2, WIDTH]).astype("f")) for _ in range(2)]
biases = [tf.constant(chance.normal(size=[ITEMS // 2]).astype("f")) for _ in range(2)]
labels = tf.constant(chance.randint(0, ITEMS, size=[ROWS, 1]))
exact = tf.gradients(tf.reduce_mean(candidates.full_softmax(hidden, weights, biases, labels)), hidden)[0]

def sampled(samples, correction):
    drawn = candidates.sample(labels, samples, ITEMS, False)
    scores = candidates.score(hidden, weights, biases, labels, drawn, correction)
    loss = tf.reduce_mean(sampled_softmax.losses(scores, labels, drawn))
    return tf.gradients(loss, hidden)[0]

found = []
with tf.Session() as session:
    truth = session.run(exact)
    for correction in (True, False):
        for samples in (8, 32, 128, 512):
            gradient = sampled(samples, correction)
            drawn = np.array([session.run(gradient) for _ in range(TIMES)])
            scale = np.linalg.norm(truth)
            bias = np.linalg.norm(drawn.mean(axis=0) - truth) / scale
            chance_left = np.sqrt((drawn.var(axis=0) / TIMES).sum()) / scale
            row = {"correction": correction, "samples": samples, "bias": float(bias), "chance": float(chance_left)}
            found.append(row)
print(json.dumps(found))
"""

# Four contexts with known distributions of what comes next; every score is free to become what it likes.
NORMALISED = """
import json, sys
import numpy as np
from repro.nodes.models import candidates, nce
from repro.nodes.tfcompat import tf
ITEMS, CONTEXTS, ROWS, SAMPLES, STEPS = 30, 4, 128, 25, 2500
chance = np.random.RandomState(3)
truth = chance.dirichlet(np.ones(ITEMS), size=CONTEXTS)
likely = truth.cumsum(axis=1)[:, :-1]  # what comes next is the first whose share is not passed

def partition(correction):
    tf.reset_default_graph()
    tf.set_random_seed(3)
    context = tf.placeholder(tf.int64, [ROWS])
    labels = tf.placeholder(tf.int64, [ROWS, 1])
    hidden = tf.get_variable("context", [CONTEXTS, CONTEXTS], initializer=tf.initializers.identity())
    weights = [tf.get_variable("weight", [ITEMS, CONTEXTS], initializer=tf.zeros_initializer())]
    biases = [tf.get_variable("bias", [ITEMS], initializer=tf.zeros_initializer())]
    drawn = candidates.sample(labels, SAMPLES, ITEMS, False)
    scores = candidates.score(tf.gather(hidden, context), weights, biases, labels, drawn, correction)
    train = tf.train.AdamOptimizer(0.02).minimize(tf.reduce_mean(nce.losses(scores, labels, drawn)))
    everything = tf.matmul(hidden, weights[0], transpose_b=True) + biases[0]
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for _ in range(STEPS):
            contexts = chance.randint(0, CONTEXTS, size=ROWS)
            following = (chance.random_sample((ROWS, 1)) > likely[contexts]).sum(axis=1, keepdims=True)
            session.run(train, {context: contexts, labels: following})
        return np.exp(session.run(everything)).sum(axis=1).tolist()

print(json.dumps({"with": partition(True), "without": partition(False)}))
"""


def answer(runtime: Runtime, program: str) -> Any:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [runtime.python, "-c", program], env=environment, capture_output=True, text=True, check=False, timeout=800
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", ["tf1.12", "tf2"])
def test_the_bias_falls_with_the_samples_and_does_not_without_the_correction(runtime: Get, name: str) -> None:
    found = answer(runtime(name), BIAS)
    corrected = [row["bias"] for row in found if row["correction"]]
    uncorrected = [row["bias"] for row in found if not row["correction"]]
    assert all(later < earlier for earlier, later in itertools.pairwise(corrected)), found
    assert corrected[-1] < 0.05, found
    # What is left without it is the sampler's own distribution, however many samples.
    assert uncorrected[-1] > 5 * corrected[-1] and uncorrected[-1] > 0.8 * uncorrected[-2], found
    assert max(row["chance"] for row in found) < corrected[-2], found


def test_nce_with_the_correction_learns_normalised_scores(runtime: Get) -> None:
    partition = answer(runtime("tf1.12"), NORMALISED)
    assert all(0.8 < value < 1.25 for value in partition["with"]), partition
    assert all(not 0.8 < value < 1.25 for value in partition["without"]), partition
