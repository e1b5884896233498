import os, sys, time
import torch, torch.distributed as dist, torch.nn as nn
from torch.distributed.fsdp import fully_shard


class Block(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.a, self.b = nn.Linear(d, 2 * d), nn.Linear(2 * d, d)

    def forward(self, x):
        return x + self.b(torch.relu(self.a(x)))


class LM(nn.Module):
    def __init__(self, d=16, n=2):
        super().__init__()
        self.blocks = nn.ModuleList(Block(d) for _ in range(n))

    def forward(self, x):
        for b in self.blocks:
            x = b(x)
        return x


@torch.no_grad()
def evaluate(model):
    model.eval()
    print("evaluating hung_at", time.time(), flush=True)
    total = sum(model(torch.randn(4, 16)).pow(2).mean().item() for _ in range(5))
    model.train()
    return total


def build():
    m = LM()
    for b in m.blocks:
        fully_shard(b)
    fully_shard(m)
    return m


def worker(rank, world, port):
    os.environ.update(MASTER_ADDR="localhost", MASTER_PORT=port)
    dist.init_process_group("gloo", rank=rank, world_size=world)
    print("member", rank, "pid", os.getpid(), flush=True)
    model = build()
    opt = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(3):
        model(torch.randn(4, 16)).pow(2).mean().backward()
        opt.step()
        opt.zero_grad()
    if rank == 0:
        print("eval", evaluate(model))
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    import torch.multiprocessing as mp
    ps = [mp.get_context("spawn").Process(target=worker, args=(r, 2, sys.argv[1])) for r in range(2)]
    [p.start() for p in ps]
    [p.join() for p in ps]
