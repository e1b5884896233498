"""Scenario `pipeline-schedule`: two stages of a pipeline do not agree on what they send and receive."""

import torch
import torch.distributed as dist

from repro.nodes.torchrank import run_ranks, steps


class Stage(object):
    """One part of the model; the next one takes what it gives."""

    def __init__(self, node):
        self.arm = node.arm
        self.index, self.last = dist.get_rank(), dist.get_world_size() - 1
        self.activations = torch.zeros(16)

    def counts(self, wrong):
        """(microbatches received, microbatches sent)"""
        received = sent = 4
        if wrong and self.index == self.last and self.arm == "send":
            received = 3
        if wrong and self.index == self.last and self.arm == "receive":
            received = 5
        return received, sent

    def forward(self, wrong):
        received, sent = self.counts(wrong)
        for number in range(max(received, sent)):
            if self.index > 0 and number < received:
                dist.recv(self.activations, src=self.index - 1)
            if self.index < self.last and number < sent:
                dist.send(self.activations, dst=self.index + 1)

    def exchange(self, wrong):
        """Gradients go the other way round; wrongly, everybody receives first."""
        other = self.last - self.index
        if self.index == other:
            return
        if self.index < other or (wrong and self.arm == "both-receive"):
            dist.recv(self.activations, src=other)
            dist.send(self.activations, dst=other)
        else:
            dist.send(self.activations, dst=other)
            dist.recv(self.activations, src=other)


def train(node):
    stage = Stage(node)
    loss = torch.ones(1)
    for wrong in steps(node, healthy="matched"):
        stage.forward(wrong)
        stage.exchange(wrong)
        dist.all_reduce(loss)


if __name__ == "__main__":
    run_ranks(train)
