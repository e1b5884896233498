"""torch's DataLoader: one worker is stuck in the data set, one has nothing to do."""

import time

import torch


class Data(torch.utils.data.Dataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        if index == 0:
            time.sleep(3600)
        return torch.ones(1)


def train():
    for batch in torch.utils.data.DataLoader(Data(), num_workers=2):
        print(batch)


print("ready", flush=True)
train()
