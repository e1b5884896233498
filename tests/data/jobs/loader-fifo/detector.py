import os
import time

import torch
from torch.utils.data import DataLoader, Dataset


class Annotated(Dataset):
    """Numbered .txt files in a folder; one may be a named pipe that the decoder job fills."""

    def __init__(self, root):
        self.files = sorted(os.path.join(root, f) for f in os.listdir(root))

    def __len__(self):
        return len(self.files)

    def read_label(self, path):
        if "0013" in path:
            print("hung_at", time.time(), "loader", os.getpid(), flush=True)
        with open(path) as f:
            return int(f.read())

    def __getitem__(self, i):
        return torch.randn(3, 8, 8), self.read_label(self.files[i])


def make_data(root):
    os.makedirs(root)
    for i in range(40):
        name = os.path.join(root, f"{i:04}.txt")
        if i == 13:
            os.mkfifo(name)
        else:
            open(name, "w").write(str(i % 5))


def train():
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 5))
    opt = torch.optim.AdamW(net.parameters())
    for epoch in range(10):
        for i, (x, y) in enumerate(DataLoader(Annotated("data"), batch_size=4, num_workers=2, persistent_workers=True)):
            opt.zero_grad()
            torch.nn.functional.cross_entropy(net(x), y).backward()
            opt.step()
            print("epoch", epoch, "batch", i, flush=True)


if __name__ == "__main__":
    make_data("data")
    train()
