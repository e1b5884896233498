"""Scenario `rank-branch`: a call that all ranks have to make stands under a condition that not all of them meet."""

import socket

import torch
import torch.distributed as dist

from repro.nodes.torchrank import run_ranks

RANKS = [0, 1]


class Trainer(object):
    def __init__(self, node):
        self.node = node
        self.gradient = torch.ones(4)

    def run(self):
        settings, recorder = self.node.settings, self.node.recorder
        for epoch in range(settings["epoch_ends"]):
            recorder.epoch_begin(epoch)
            for _ in range(settings["batches"]):
                recorder.step_begin()
                dist.all_reduce(self.gradient)
                recorder.step_end(rows=1)
            self.at_epoch_end(epoch == settings["hang_at"] and self.node.arm != "by-all")
            dist.broadcast(self.gradient, 0)
            recorder.epoch_end(epoch)

    def at_epoch_end(self, some_only):
        """What one does, all do, except in the epoch of the mistake."""
        first = dist.get_rank() == 0
        if some_only:
            self.node.stuck()
        if self.node.arm == "object":
            if some_only and dist.get_rank() == 1:
                self.fetch_labels()
            self.collect_scores()
        elif first or not some_only:
            {"barrier": self.save, "metric": self.sum_up, "new-group": self.split}.get(self.node.arm, self.save)()

    def save(self):
        dist.barrier()

    def sum_up(self):
        """Of the same shape as a step's, so that it is taken for one."""
        dist.all_reduce(torch.zeros(4))

    def split(self):
        dist.new_group(RANKS)

    def collect_scores(self):
        dist.gather_object({"score": 1.0}, [None] * dist.get_world_size() if dist.get_rank() == 0 else None)

    def fetch_labels(self):
        """From a server that takes the request and never answers."""
        self.server = socket.socket()
        self.server.bind(("127.0.0.1", 0))
        self.server.listen(1)
        with socket.create_connection(self.server.getsockname()) as client:
            client.sendall(b"GET /labels HTTP/1.0\r\n\r\n")
            client.recv(4096)


def train(node):
    node.ready()
    Trainer(node).run()
    node.done()


if __name__ == "__main__":
    run_ranks(train)
