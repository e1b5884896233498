"""Scenario `uneven-steps`: rank 0 has a batch more, and nothing stands in for the ranks that have none."""

import contextlib

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from repro.nodes.torchrank import run_ranks


class Classifier(nn.Module):
    """`counts`: it asks all ranks for their rows, of which neither DDP nor its `join()` knows."""

    def __init__(self, counts):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
        self.counts = counts

    def forward(self, rows):
        if self.counts:
            counts = [torch.zeros(1) for _ in range(dist.get_world_size())]
            dist.all_gather(counts, torch.tensor([float(len(rows))]))
            rows = rows / sum(counts)
        return self.body(rows)


def sharded(node):
    model = Classifier(counts=False)
    mesh = torch.distributed.init_device_mesh("cpu", (node.settings["workers"],))
    fully_shard(model.body, mesh=mesh)
    return fully_shard(model, mesh=mesh)


def run_epoch(node, model, optimizer, count):
    for batch in range(count):
        if batch == node.settings["batches"]:
            node.stuck()
        node.recorder.step_begin()
        optimizer.zero_grad()
        model(torch.ones(4, 8)).sum().backward()
        optimizer.step()
        node.recorder.step_end(rows=4)


def train(node):
    settings, recorder = node.settings, node.recorder
    joins = node.arm == "join"
    model = DistributedDataParallel(Classifier(counts=True)) if joins else sharded(node)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    node.ready()
    for epoch in range(min(settings["epoch_ends"], settings["hang_at"] + 1)):
        more = epoch == settings["hang_at"] and node.arm != "agreed" and node.index == 0
        recorder.epoch_begin(epoch)
        with model.join() if joins else contextlib.nullcontext():
            run_epoch(node, model, optimizer, settings["batches"] + more)
        recorder.epoch_end(epoch)
    node.done()


if __name__ == "__main__":
    run_ranks(train)
