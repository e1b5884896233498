"""Scenario `big-checkpoint`: between two epochs a checkpoint is written that takes seconds."""

import os
import time

import torch

from repro.nodes.node import start
from repro.nodes.plain import train

SECONDS = 6
VALUES = 1 << 24  # 64 MiB


def main():
    node = start()
    model = {"weight": torch.zeros(VALUES)}
    path = os.path.join(node.directory, "checkpoint")

    def at_epoch_end(stuck):
        if not stuck:
            return
        node.stuck()
        end = time.time() + SECONDS
        while time.time() < end:  # as large as this disk takes in that time
            with open(path, "wb") as file:
                torch.save(model, file)
                file.flush()
                os.fsync(file.fileno())

    node.ready()
    train(node, at_epoch_end)


if __name__ == "__main__":
    main()
