"""Scenario `collective-mismatch`: rank 0 broadcasts where the rest sum up."""

import torch
import torch.distributed as dist

from repro.nodes.node import start
from repro.nodes.plain import train
from repro.nodes.torchrank import join_group


def tell_best(score):
    dist.broadcast(score, 0)


def sum_up(metrics):
    dist.all_reduce(metrics)


def main():
    node = start()
    join_group(node)
    metrics, score = torch.ones(4), torch.zeros(1)

    def at_epoch_end(stuck):
        if stuck:
            node.stuck()
        if node.arm == "agreed" or (stuck and node.index == 0):
            tell_best(score)
        sum_up(metrics)

    node.ready()
    train(node, at_epoch_end)


if __name__ == "__main__":
    main()
