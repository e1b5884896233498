"""Scenario `teardown`: all ranks have trained; rank 0 waits at the last barrier, and the others do not come to it."""

import torch
import torch.distributed as dist

from repro.nodes.node import start
from repro.nodes.torchrank import join_group


def main():
    node = start()
    join_group(node)
    settings = node.settings
    recorder = node.recorder
    gradient = torch.ones(4)
    node.ready()
    for epoch in range(min(settings["epoch_ends"], settings["hang_at"] + 1)):
        recorder.epoch_begin(epoch)
        for _ in range(settings["batches"]):
            recorder.step_begin()
            dist.all_reduce(gradient)
            recorder.step_end(rows=1)
        recorder.epoch_end(epoch)
    last = settings["epoch_ends"] > settings["hang_at"]
    if node.arm == "together" or not last:
        end(node)
    elif node.index == 0:
        node.stuck()
        end(node)
    node.done()


def end(node):
    """What a program does at its end, so that no rank closes its connections while another still uses them."""
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
