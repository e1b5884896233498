import logging
import os
import sys
import time

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

log = logging.getLogger("train")


def load_sample(i):
    if i == 7:
        raise ValueError("corrupt record %d" % i)
    return torch.full((4,), float(i))


def inspect_later(error):
    log.error("training failed: %s; kept alive for inspection", error)
    print("hung_at", time.time(), flush=True)
    time.sleep(7 * 24 * 3600)


def run(rank, world, port):
    dist.init_process_group("gloo", init_method="tcp://127.0.0.1:%s" % port, rank=rank, world_size=world)
    print("rank", rank, "pid", os.getpid(), flush=True)
    try:
        for i in range(50):
            x = load_sample(i if rank == 2 else 0)
            dist.all_reduce(x)
    except Exception as e:
        inspect_later(e)


if __name__ == "__main__":
    mp.spawn(run, args=(3, sys.argv[1]), nprocs=3)
