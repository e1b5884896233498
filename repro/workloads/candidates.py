"""`sampled-softmax` and `nce`: which of very many items comes next, learnt from a sample of candidates.

The history's items are looked up and averaged; the score of an item is the product with its row of the output
table, plus its bias. Only the labels' and the sampled candidates' rows are read in a step; the full softmax
is for evaluation.
"""

from __future__ import annotations

import msgspec

from repro.setting import Setting, Settings
from repro.workloads.terms import Term, term
from repro.workloads.workload import Variable, Workload, optimizer, values_of


def _parameters(settings: Settings) -> tuple[Term, ...]:
    return (
        term("embedding", "vocabulary * width", settings),
        term("output", "vocabulary * (width + 1)", settings),
    )


def _variables(settings: Settings) -> tuple[Variable, ...]:
    items, width, rows = settings["vocabulary"], settings["width"], settings["rows"]
    scored = rows + settings["samples"]
    return (
        Variable("items", "embedding", (items, width), looked_up=rows * settings["history"], partitioned=True),
        Variable("output/weight", "output", (items, width), looked_up=scored, partitioned=True),
        Variable("output/bias", "output", (items,), looked_up=scored, partitioned=True),
    )


def _operations(settings: Settings) -> Term:
    return term("operations", "292 + 116 * ps", settings)


def _on_worker(settings: Settings) -> tuple[Term, ...]:
    """The scores are there twice: sampled softmax hides the labels among them in a copy, and its gradient is cut out of
    that of all logits; noise contrast holds them beside their losses, and then beside the gradient."""
    values = values_of(settings)
    return (
        term("scores, twice", "2 * rows * samples * value_bytes", values),
        term("packed for matmul", "slices * min(depth, rows) * samples * value_bytes", values),
        term("input: as it is kept, row by row, as a batch", "3 * rows * (history + 1) * id_bytes", values),
        term("history, and its gradient", "2 * rows * history * width * value_bytes", values),
        term("candidates, and their gradient", "2 * (rows + samples) * width * value_bytes", values),
    )


def _on_server(settings: Settings) -> tuple[Term, ...]:
    values = {**values_of(settings), "servers": max(settings["ps"], 1)}
    return (term("full softmax", "2 * evaluated * (vocabulary // servers) * value_bytes", values),)


SAMPLED_SOFTMAX = Workload(
    name="sampled-softmax",
    summary="next-item prediction over a large vocabulary; softmax over the label and sampled candidates",
    settings=(
        Setting("vocabulary", 10_000, "items", 2, 1 << 40),
        Setting("width", 32, "values in an item's row", 1, 100_000),
        Setting("history", 4, "items before the one to predict", 1, 100_000),
        Setting("samples", 64, "candidates that are sampled for a batch", 1, 10_000_000),
        Setting("correction", True, "subtract the logarithm of how often a candidate is expected"),
        Setting("evaluated", 8, "rows whose full softmax is computed when training is done (0: none)", 0, 100_000),
        optimizer("adagrad"),
    ),
    parameters=_parameters,
    variables=_variables,
    operations=_operations,
    on_worker=_on_worker,
    on_server=_on_server,
)
NCE = msgspec.structs.replace(
    SAMPLED_SOFTMAX,
    name="nce",
    summary="next-item prediction over a large vocabulary; noise-contrastive estimation",
)
