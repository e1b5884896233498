"""Scenario `swallowed-exception`: one rank's step raises before its collective, and a handler hides that."""

import threading

import torch
import torch.distributed as dist

from repro.nodes.torchrank import run_ranks


class BadRow(Exception):
    pass


def load(node, bad):
    if bad and node.index == 1:
        raise BadRow("row 17 has no label")
    return torch.ones(4)


def step(node, bad):
    gradient = load(node, bad)
    dist.all_reduce(gradient)


def step_or_skip(node, bad):
    try:
        step(node, bad)
    except BadRow as error:
        print("skipped a batch: %s" % error, flush=True)


def step_agreed(node, bad):
    """All ranks skip what one of them cannot load."""
    try:
        gradient, good = load(node, bad), torch.ones(1)
    except BadRow:
        gradient, good = torch.zeros(4), torch.zeros(1)
    dist.all_reduce(good, op=dist.ReduceOp.MIN)
    if good.item():
        dist.all_reduce(gradient)


STEPS = {"skips": step_or_skip, "ends": step, "agreed": step_agreed}


def epochs(node):
    settings, recorder = node.settings, node.recorder
    scores = [torch.zeros(1) for _ in range(settings["workers"])]
    for epoch in range(settings["epoch_ends"]):
        recorder.epoch_begin(epoch)
        for batch in range(settings["batches"]):
            recorder.step_begin()
            bad = epoch == settings["hang_at"] and batch == settings["batches"] - 1
            if bad and node.arm != "agreed":
                node.stuck()
            STEPS[node.arm](node, bad)
            recorder.step_end(rows=1)
        dist.all_gather(scores, torch.ones(1))
        recorder.epoch_end(epoch)


class Exporter(object):
    """A server of results, which runs until somebody ends the job."""

    def __init__(self):
        self.ended = threading.Event()

    def serve(self):
        self.ended.wait()


def train(node):
    node.ready()
    try:
        epochs(node)
    except BadRow as error:
        print("training ended: %s" % error, flush=True)
        Exporter().serve()
    node.done()


if __name__ == "__main__":
    run_ranks(train)
