"""torchrun finetune.py LABEL_SERVER"""
import socket
import sys
import time

import torch
import torch.distributed as dist


def fetch_labels(address, batch):
    host, port = address.split(":")
    s = socket.create_connection((host, int(port)))
    s.sendall(b"GET %d\n" % batch)
    line = s.makefile().readline()
    return torch.tensor([float(v) for v in line.split()])


def train():
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 1))
    for batch in range(10):
        if batch == 4 and rank == 1:
            print("hung_at", time.time(), flush=True)
        y = fetch_labels(sys.argv[1], batch if rank == 1 else 0)
        model(torch.randn(2, 2)).sub(y).square().mean().backward()


if __name__ == "__main__":
    import os
    print("worker", os.environ["RANK"], "is", os.getpid(), flush=True)
    train()
