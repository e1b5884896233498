import contextlib, sys, time
import torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel as DDP


class Accelerator:
    def __init__(self, accum):
        dist.init_process_group("gloo")
        self.accum, self.n = accum, 0

    @contextlib.contextmanager
    def accumulate(self, model):
        self.n += 1
        with contextlib.nullcontext() if self.n % self.accum == 0 else model.no_sync():
            yield

    @property
    def sync(self):
        return self.n % self.accum == 0


acc = Accelerator(24)
model = DDP(torch.nn.Linear(32, 32))
opt = torch.optim.SGD(model.parameters(), lr=0.01)
slow = dist.get_rank() == 1
for i in range(100000):
    with acc.accumulate(model):
        time.sleep(0.4 if slow else 0.05)  # the other one has the older machine
        model(torch.randn(4, 32)).pow(2).mean().backward()
    if acc.sync:
        opt.step(); opt.zero_grad()
        print("rank", dist.get_rank(), "update", acc.n, flush=True)
