import os, threading, time
import torch
from torch.utils.data import Dataset, DataLoader

_stats_lock = threading.Lock()
_stats = {'reads': 0}


def report():
    while True:
        with _stats_lock:
            time.sleep(0.4)      # "upload"
            _stats['reads'] += 0
        time.sleep(0.01)


class Shards(Dataset):
    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        x = torch.full((16,), float(i))
        if i in (0, 8):      # the first of each reader
            print('reader', os.getpid(), 'at', i, 'hung_at', time.time(), flush=True)
        with _stats_lock:
            _stats['reads'] += 1
        return x


def train():
    net = torch.nn.Linear(16, 1)
    opt = torch.optim.SGD(net.parameters(), lr=1e-6)
    threading.Thread(target=report, daemon=True).start()
    time.sleep(0.1)
    for epoch in range(50):
        print('READY epoch', epoch, os.getpid(), flush=True)
        for x in DataLoader(Shards(256), batch_size=8, num_workers=2):
            opt.zero_grad()
            net(x).mean().backward()
            opt.step()


if __name__ == '__main__':
    train()
