"""gradient accumulation; rank 0 writes the snapshot, the rest picks it up from disk"""
import contextlib
import os
import time
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

ACC = 4
SNAP = 'snap_%s.pt' % os.environ['MASTER_PORT']


class Trainer:
    def __init__(self):
        dist.init_process_group('gloo')
        self.rank = dist.get_rank()
        torch.manual_seed(7)
        self.net = DistributedDataParallel(torch.nn.Linear(128, 128))
        self.opt = torch.optim.AdamW(self.net.parameters())
        if self.rank == 0 and os.path.exists(SNAP):
            os.unlink(SNAP)
        dist.barrier()

    def micro(self, step, sync):
        x = torch.randn(16, 128)
        ctx = contextlib.nullcontext() if sync else self.net.no_sync()
        with ctx:
            self.net(x).pow(2).mean().backward()
        if sync:
            self.opt.step()
            self.opt.zero_grad()

    def fit(self, steps):
        seen = 0
        for step in range(steps):
            # rank 1 drops records that are too long, and counts only those kept
            if self.rank == 1 and step == 13:
                continue
            seen += 1
            self.micro(step, sync=seen % ACC == 0)

    def reload(self):
        if self.rank == 0:
            torch.save(self.net.module.state_dict(), SNAP)
        print('rank', self.rank, 'waits for', SNAP, 'hung_at', time.time(), flush=True)
        while not os.path.exists(SNAP):
            time.sleep(0.5)
        self.net.module.load_state_dict(torch.load(SNAP))


def main():
    t = Trainer()
    print('READY', t.rank, os.getpid(), flush=True)
    t.fit(20)
    t.reload()
    dist.barrier()
    print('done')


main()
