import time
import torch
from torch.utils.data import DataLoader, IterableDataset


class Slow(IterableDataset):
    def __iter__(self):
        n = 0
        while True:
            time.sleep(2.3)  # the archive's robot fetches a tape
            n += 1
            yield torch.full((4,), float(n))


net = torch.nn.Linear(4, 1)
for n, x in enumerate(DataLoader(Slow(), batch_size=1, num_workers=1)):
    net(x).sum().backward()
    if n == 1:
        print("training", flush=True)
