import os
import time
import torch
from torch.utils.data import DataLoader, Dataset


class Thumbnails(Dataset):
    def __len__(self):
        return 400

    def download(self, i):
        if i == 120:
            print("worker", os.getpid(), "waits, hung_at", time.time(), flush=True)
            time.sleep(86400)  # server asked us to come back later
        return torch.rand(3, 8, 8)

    def __getitem__(self, i):
        return self.download(i)


def main():
    net = torch.nn.Conv2d(3, 4, 3)
    for images in DataLoader(Thumbnails(), batch_size=10, num_workers=3):
        net(images).mean().backward()
    print("done")


main()
