import logging
import sys
import time
import os

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

log = logging.getLogger("train")


class Loop:
    def __init__(self, rank):
        self.rank = rank
        self.w = torch.zeros(8)

    def compute(self, step):
        if self.rank == 2 and step == 4:
            raise ValueError("nan in batch")
        return torch.randn(8)

    def sync(self, g):
        dist.all_reduce(g)
        self.w -= 0.1 * g

    def guarded(self, step):
        try:
            self.sync(self.compute(step))
        except Exception:
            log.exception("skipping step %d", step)

    def finish(self):
        everything = [None] * dist.get_world_size()
        dist.all_gather_object(everything, self.w.tolist())
        return everything


def main(rank, port):
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=3)
    print(f"rank {rank} pid {os.getpid()}", flush=True)
    loop = Loop(rank)
    for step in range(6):
        loop.guarded(step)
    print(f"rank {rank} finishes hung_at {time.time()}", flush=True)
    loop.finish()


if __name__ == "__main__":
    mp.spawn(main, (sys.argv[1],), 3)
