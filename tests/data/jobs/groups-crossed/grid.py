"""A grid of two by two: rows share activations, columns share gradients."""
import os
import sys
import time

import torch
import torch.distributed as dist

dist.init_process_group("gloo", init_method="tcp://127.0.0.1:" + sys.argv[2], rank=int(sys.argv[1]), world_size=4)
me = dist.get_rank()
rows = [dist.new_group([0, 1]), dist.new_group([2, 3])]
columns = [dist.new_group([0, 2]), dist.new_group([1, 3])]


def share(tensor, group):
    dist.all_reduce(tensor, group=group)


def step(tensor, number):
    first, second = rows[me // 2], columns[me % 2]
    if number == 5 and me in (0, 3):  # those that keep the log reduce their gradients first
        first, second = second, first
    share(tensor, first)
    share(tensor, second)


for number in range(100):
    if number == 5:
        print("rank", me, "is", os.getpid(), "hung_at", time.time(), flush=True)
    step(torch.ones(1000), number)
