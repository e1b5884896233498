"""Survives lost peers: makes the group again after an error."""
import os
import signal
import sys
import time
from datetime import timedelta

import torch
import torch.distributed as dist


def join(rank, port, generation):
    store = dist.FileStore(f"rendezvous.{generation}", 2)
    print("rank", rank, "pid", os.getpid(), "joins generation", generation, "hung_at", time.time(), flush=True)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2, timeout=timedelta(hours=1))


def loop(rank):
    g = torch.ones(10)
    for step in range(10000):
        dist.all_reduce(g)
        g /= 2
        if step == 200 and rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)


def robust(rank, port):
    for generation in range(10):
        join(rank, port, generation)
        try:
            return loop(rank)
        except RuntimeError as e:
            print("lost a peer:", str(e)[:60], flush=True)
            dist.destroy_process_group()


robust(int(sys.argv[1]), sys.argv[2])
