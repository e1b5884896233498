"""What a step computes. Each model is a module with `features(settings)` and `build(batch, node, worker_device)`.

`features` says what a row of the input has: name -> `Feature`. `build` takes name -> tensor `[rows] + shape` and
gives a `Step`. What each one needs is in `repro.workloads`, by formula.
"""

import importlib

_MODULES = {
    "wide": "wide",
    "ctr": "ctr",
    "sampled-softmax": "sampled_softmax",
    "nce": "nce",
    "transformer": "transformer",
}


def find(name):
    return importlib.import_module("repro.nodes.models." + _MODULES[name])
