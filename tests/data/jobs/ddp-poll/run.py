import os
import sys
import time
from datetime import timedelta

import torch
import torch.distributed as dist


def wait_for_file(path, every):
    while not os.path.exists(path):
        time.sleep(every)


def prepare(rank, every):
    if rank == 1:
        print("hung_at", time.time(), flush=True)
        wait_for_file("tokenized.ok", every)


def main():
    dist.init_process_group("gloo", timeout=timedelta(hours=5))
    prepare(dist.get_rank(), float(sys.argv[1]))
    dist.barrier()
    dist.all_reduce(torch.ones(1))


main()
