import os, time
import torch
from torch.utils.data import IterableDataset, DataLoader, get_worker_info


class Tape(IterableDataset):
    """the archive hands out a block each eight seconds"""
    def read_block(self, k):
        time.sleep(8)
        return torch.randn(64, 10) + k

    def __iter__(self):
        w = get_worker_info()
        for k in range(w.id, 1000, w.num_workers):
            block = self.read_block(k)
            for row in block:
                yield row


def main():
    net = torch.nn.Sequential(torch.nn.Linear(10, 10), torch.nn.Tanh(), torch.nn.Linear(10, 1))
    opt = torch.optim.Adam(net.parameters())
    seen = 0
    for batch in DataLoader(Tape(), batch_size=32, num_workers=2):
        loss = net(batch).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        seen += len(batch)
        print('READY' if seen == 256 else 'seen', seen, os.getpid(), float(loss), flush=True)


if __name__ == '__main__':
    main()
