"""torch.distributed: rank 0 waits as it is told, rank 1 stands in a function of its own."""

import sys
import time

import torch
import torch.distributed as dist

way, rank, port = sys.argv[1], int(sys.argv[2]), sys.argv[3]


def elsewhere():
    time.sleep(3600)


def wait():
    tensor = torch.ones(4)
    if way == "all_reduce":
        dist.all_reduce(tensor)
    elif way == "barrier":
        dist.barrier()
    elif way == "recv":
        dist.recv(tensor, 1)
    elif way == "object":
        dist.all_gather_object([None, None], "here")
    elif way == "async":
        dist.all_reduce(tensor, async_op=True).wait()
    elif way == "backward":
        model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(4, 1))
        model(tensor).backward()
    elif way == "rebuild":
        model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(4, 1))
        model(tensor).backward()
        model(tensor).backward()


world = 3 if way == "absent" else 2
if rank == 0:
    print("ready", flush=True)
dist.init_process_group("gloo", init_method="tcp://127.0.0.1:" + port, rank=rank, world_size=world)
if rank == 0:
    wait()
else:
    if way in ("backward", "rebuild"):
        model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(4, 1))
    if way == "rebuild":
        model(torch.ones(4)).backward()
    elsewhere()
