import os
import time

import torch
import torch.distributed as dist


class ExpertParallel:
    """Neighbours share an expert: a group for each pair."""

    def __init__(self, rank, world):
        self.rank = rank
        self.groups = {}
        for first in range(world - 1):
            pair = (first, first + 1)
            if rank in pair:
                self.groups[pair] = self.make_group(pair)

    def make_group(self, pair):
        print(f"rank={self.rank} pid={os.getpid()} makes {pair} hung_at {time.time()}", flush=True)
        return dist.new_group(list(pair))

    def exchange(self, x):
        for group in self.groups.values():
            dist.all_reduce(x, group=group)
        return x


def dense_step(model, x):
    model(x).sum().backward()
    for p in model.parameters():
        dist.all_reduce(p.grad)


def run():
    dist.init_process_group("gloo")
    experts = ExpertParallel(dist.get_rank(), dist.get_world_size())
    model = torch.nn.Linear(4, 4)
    for step in range(100):
        dense_step(model, experts.exchange(torch.randn(2, 4)))
        print("step", step, flush=True)


if __name__ == "__main__":
    run()
