"""Scenario `group-order`: ranks enter the collectives of two process groups in different orders."""

import torch
import torch.distributed as dist

from repro.nodes.torchrank import run_ranks, steps


def two_of_all(world):
    """Every rank's two groups."""
    everybody = list(range(world))
    return [[dist.new_group(everybody), dist.new_group(everybody)]] * world


def rows_and_columns(world):
    """Of a grid of two rows."""
    width = world // 2
    rows = [dist.new_group(range(row * width, (row + 1) * width)) for row in range(2)]
    columns = [dist.new_group([column, column + width]) for column in range(width)]
    return [[rows[rank // width], columns[rank % width]] for rank in range(world)]


def begins_with_the_other(arm, rank, world):
    if arm == "grid":
        return (rank // (world // 2) + rank) % 2 == 1 if world > 2 else rank == 1
    return rank % 2 == 1


def train(node):
    rank, world = dist.get_rank(), dist.get_world_size()
    groups = (rows_and_columns if node.arm == "grid" else two_of_all)(world)[rank]
    gradient = torch.ones(4)
    for wrong in steps(node, healthy="ordered"):
        other_way = wrong and begins_with_the_other(node.arm, rank, world)
        for group in groups[::-1] if other_way else groups:
            dist.all_reduce(gradient, group=group)


if __name__ == "__main__":
    run_ranks(train)
