"""Scenario `ddp-uneven`: each rank trains all its batches; rank 0 has one more in epoch `hang_at`, then all stop."""

import contextlib

import torch
from torch.nn.parallel import DistributedDataParallel

from repro.nodes.node import start
from repro.nodes.torchmodels import MODELS, OPTIMIZERS
from repro.nodes.torchrank import join_group


def train_step(model, optimizer, batch):
    optimizer.zero_grad()
    model(batch).backward()
    optimizer.step()


def batches_of(node, epoch):
    settings = node.settings
    more = node.index == 0 and epoch == settings["hang_at"]
    return settings["batches"] + (1 if more else 0)


def main():
    node = start()
    join_group(node)
    kind = MODELS[node.settings["model"]]
    model = DistributedDataParallel(kind(node.settings))
    optimizer = OPTIMIZERS[node.settings.get("optimizer", "sgd")](model.parameters())
    generator = torch.Generator().manual_seed(node.index)
    recorder = node.recorder
    node.ready()
    for epoch in range(min(node.settings["epoch_ends"], node.settings["hang_at"] + 1)):
        recorder.epoch_begin(epoch)
        with model.join() if node.arm == "join" else contextlib.nullcontext():
            for index in range(batches_of(node, epoch)):
                if index == node.settings["batches"]:
                    node.stuck()
                batch = kind.batch(node.settings, generator)
                recorder.step_begin()
                train_step(model, optimizer, batch)
                recorder.step_end(rows=len(batch))
        recorder.epoch_end(epoch)
    node.done()


if __name__ == "__main__":
    main()
