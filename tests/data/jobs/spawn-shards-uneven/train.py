import os, sys, time, torch, torch.nn as nn
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel as DDP
from torch.utils.data import DataLoader, TensorDataset


def get_loader(rank):
    # the shards are files of different lengths
    n = 640 if rank == 0 else 576
    g = torch.Generator().manual_seed(rank)
    x = torch.randn(n, 20, generator=g)
    y = torch.randint(0, 3, (n,), generator=g)
    return DataLoader(TensorDataset(x, y), batch_size=32)


def train_epoch(model, loader, opt, crit, rank):
    total = 0.0
    for i, (x, y) in enumerate(loader):
        if i == 18:
            print('READY rank', rank, 'pid', os.getpid(), 'hung_at', time.time(), flush=True)
        opt.zero_grad()
        loss = crit(model(x), y)
        loss.backward()
        opt.step()
        total += loss.item()
    return total / len(loader)


def save_summary(rank, loss):
    dist.barrier()
    if rank == 0:
        print('epoch loss', loss)


def worker(rank, world):
    os.environ['MASTER_ADDR'] = '127.0.0.1'
    os.environ['MASTER_PORT'] = sys.argv[1]
    dist.init_process_group('gloo', rank=rank, world_size=world)
    torch.manual_seed(0)
    model = DDP(nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 3)))
    opt = torch.optim.SGD(model.parameters(), lr=0.05)
    crit = nn.CrossEntropyLoss()
    if rank == 1:
        print('READY rank 1 pid', os.getpid(), flush=True)
    loss = train_epoch(model, get_loader(rank), opt, crit, rank)
    save_summary(rank, loss)
    dist.destroy_process_group()


if __name__ == '__main__':
    print('main', os.getpid())
    mp.spawn(worker, args=(2,), nprocs=2)
