"""Three pipeline stages in three processes, 1F1B schedule by hand."""
import os
import sys
import time

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

MICRO, WIDTH, STAGES = 4, 16, 3


class Stage:
    def __init__(self, index):
        self.index = index
        self.layer = torch.nn.Linear(WIDTH, WIDTH)
        self.inputs, self.outputs = [], []

    def forward_one(self):
        if self.index == 0:
            x = torch.randn(2, WIDTH)
        else:
            x = torch.empty(2, WIDTH)
            dist.recv(x, self.index - 1)
        x.requires_grad_()
        y = torch.relu(self.layer(x))
        self.inputs.append(x)
        self.outputs.append(y)
        return y

    def send_on(self, y):
        if self.index < STAGES - 1:
            dist.send(y.detach(), self.index + 1)

    def backward_one(self):
        x, y = self.inputs.pop(0), self.outputs.pop(0)
        if self.index == STAGES - 1:
            y.sum().backward()
        else:
            g = torch.empty_like(y)
            dist.recv(g, self.index + 1)
            y.backward(g)
        if self.index:
            dist.send(x.grad, self.index - 1)


def one_f_one_b(stage):
    warm = STAGES - 1 - stage.index
    for _ in range(warm - (stage.index == 1)):
        stage.send_on(stage.forward_one())
    for m in range(MICRO):
        y = stage.forward_one()
        if m == 0:
            print("stage", stage.index, "steady phase hung_at", time.time(), flush=True)
        stage.backward_one()
        stage.send_on(y)


def main(rank, port):
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=STAGES)
    print("stage", rank, "pid", os.getpid(), flush=True)
    one_f_one_b(Stage(rank))


if __name__ == "__main__":
    mp.spawn(main, (sys.argv[1],), nprocs=STAGES)
