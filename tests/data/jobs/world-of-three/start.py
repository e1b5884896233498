import os
import sys
import time

import torch.distributed as dist


def setup(rank):
    os.environ["MASTER_ADDR"] = "localhost"
    os.environ["MASTER_PORT"] = sys.argv[2]
    print("hung_at", time.time(), flush=True)
    dist.init_process_group("gloo", rank=rank, world_size=3)  # there used to be three GPUs in this box


setup(int(sys.argv[1]))
print("go")
