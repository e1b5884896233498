"""Scenario `long-eval`: rank 0 evaluates for seconds, as it does once in a while, and the others wait for it."""

import time

import torch
import torch.distributed as dist

from repro.nodes.node import start
from repro.nodes.torchrank import join_group

SECONDS = 6


def evaluate(model):
    """Batches for so many seconds, on the CPU."""
    end = time.time() + SECONDS
    with torch.no_grad():
        while time.time() < end:
            model(torch.ones(256, 256))


def main():
    node = start()
    join_group(node)
    settings = node.settings
    recorder = node.recorder
    model = torch.nn.Linear(256, 256)
    gradient = torch.ones(4)
    node.ready()
    for epoch in range(settings["epoch_ends"]):
        recorder.epoch_begin(epoch)
        for _ in range(settings["batches"]):
            recorder.step_begin()
            dist.all_reduce(gradient)
            recorder.step_end(rows=1)
        recorder.epoch_end(epoch)
        if epoch == settings["hang_at"]:
            with recorder.phase("evaluation"):
                if node.index == 0:
                    node.stuck()
                    evaluate(model)
                dist.barrier()
    node.done()


if __name__ == "__main__":
    main()
