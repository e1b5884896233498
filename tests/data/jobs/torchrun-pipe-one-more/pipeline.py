import os, time
import torch
import torch.distributed as dist


class Stage:
    def __init__(self, rank, world, width=256):
        self.rank, self.world = rank, world
        self.layer = torch.nn.Linear(width, width)
        self.inp = self.out = None
        self.buf = torch.zeros(8, width)

    def forward_first(self):
        self.out = self.layer(torch.randn(8, 256))
        dist.send(self.out.detach(), self.rank + 1)

    def forward_rest(self):
        dist.recv(self.buf, self.rank - 1)
        self.inp = self.buf.clone().requires_grad_()
        self.out = self.layer(self.inp)
        if self.rank < self.world - 1:
            dist.send(self.out.detach(), self.rank + 1)

    def backward(self):
        if self.rank == self.world - 1:
            self.out.pow(2).mean().backward()
        else:
            g = torch.zeros(8, 256)
            dist.recv(g, self.rank + 1)
            self.out.backward(g)
        if self.rank:
            dist.send(self.inp.grad, self.rank - 1)


def schedule(stage, micro):
    for m in range(micro):
        if stage.rank == 0:
            stage.forward_first()
        elif stage.rank == 2 and m == 5:
            # "warm-up" of the steady phase: expects one activation more
            stage.forward_rest()
            print('hung_at', time.time(), flush=True)
            stage.forward_rest()
        else:
            stage.forward_rest()
        stage.backward()


if __name__ == '__main__':
    dist.init_process_group('gloo')
    r = dist.get_rank()
    print('READY stage', r, 'pid', os.getpid(), flush=True)
    schedule(Stage(r, dist.get_world_size()), 8)
    print('flushed')
