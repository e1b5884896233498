"""Scenario `group-aborted`: a rank takes its process group apart, and the others do not do so with it."""

import threading

import torch
import torch.distributed as dist
from torch.distributed import distributed_c10d

from repro.nodes.torchrank import run_ranks


class Uploader(threading.Thread):
    """Takes results until it is told that there are no more."""

    def __init__(self):
        super().__init__()
        self.more = threading.Condition()

    def run(self):
        with self.more:
            self.more.wait()


def epoch_of(node):
    gradient = torch.ones(4)
    for _ in range(node.settings["batches"]):
        node.recorder.step_begin()
        dist.all_reduce(gradient)
        node.recorder.step_end(rows=1)


def rejoin(node):
    """What a rank does that has met an error: give up the group, and form it anew under another name."""
    distributed_c10d._abort_process_group()
    host, port = node.addresses["worker"][0].rsplit(":", 1)
    store = dist.PrefixStore("attempt-1", dist.TCPStore(host, int(port), is_master=False))
    dist.init_process_group("gloo", store=store, rank=node.index, world_size=node.settings["workers"])


def finish(node):
    """What a rank does whose group has failed: report, and wait for the launcher to end it."""
    try:
        dist.all_reduce(torch.ones(4))
    except RuntimeError as error:
        print("the group failed: %s" % error, flush=True)
    node.done()


def leave():
    """The way out without telling the uploader, whose end the interpreter waits for."""
    Uploader().start()


def train(node):
    settings, recorder = node.settings, node.recorder
    node.ready()
    for epoch in range(settings["epoch_ends"]):
        recorder.epoch_begin(epoch)
        epoch_of(node)
        if epoch == settings["hang_at"] and node.arm != "together":
            node.stuck()
            if node.arm == "rejoin":
                rejoin(node) if node.index == 1 else finish(node)
            elif node.index == 1:
                leave()
                return
        recorder.epoch_end(epoch)
    dist.barrier()
    dist.destroy_process_group()
    node.done()


if __name__ == "__main__":
    run_ranks(train)
