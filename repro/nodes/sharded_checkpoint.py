"""Scenario `sharded-checkpoint`: each rank writes its part of a checkpoint; of one, the storage does not come back."""

import os
import time

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp

from repro.nodes.torchrank import run_ranks


class LockedWriter(dcp.FileSystemWriter):
    """One job at a time writes to the directory: a file of that name says that one does."""

    def write_data(self, plan, planner):
        lock = os.path.join(str(self.path), "rank-%d.lock" % dist.get_rank())
        while os.path.exists(lock):
            time.sleep(0.2)
        return super().write_data(plan, planner)


def prepare(node, path, wrong):
    """Where storage is to fail: for rank 1, with a pipe that nobody reads or a lock that was left."""
    os.makedirs(path, exist_ok=True)
    if wrong and node.index == 1:
        if node.arm == "lock-file":
            open(os.path.join(path, "rank-1.lock"), "w").close()
        else:
            os.mkfifo(os.path.join(path, "__1_0.distcp"))


def save(node, state, epoch):
    wrong = epoch == node.settings["hang_at"] and node.arm != "written"
    path = os.path.join(os.path.dirname(node.directory), "checkpoints", str(epoch))
    prepare(node, path, wrong)
    dist.barrier()
    if wrong:
        node.stuck()
    dcp.save(state, storage_writer=LockedWriter(path, single_file_per_rank=True))


def train(node):
    settings, recorder = node.settings, node.recorder
    state = {"weights-%d" % node.index: torch.ones(1000)}
    node.ready()
    for epoch in range(settings["epoch_ends"]):
        recorder.epoch_begin(epoch)
        for _ in range(settings["batches"]):
            recorder.step_begin()
            dist.all_reduce(state["weights-%d" % node.index])
            recorder.step_end(rows=1)
        save(node, state, epoch)
        recorder.epoch_end(epoch)
    node.done()


if __name__ == "__main__":
    run_ranks(train)
