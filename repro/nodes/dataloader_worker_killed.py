"""Scenario `dataloader-worker-killed`: a worker of the DataLoader ends by SIGKILL in the middle of a batch."""

import os
import signal

from torch.utils.data import DataLoader, Dataset

from repro.nodes.node import start

WORKERS = 2


class Rows(Dataset):
    """Reading row `deadly` costs the worker its life, as the kernel takes it when memory runs out."""

    def __init__(self, count, deadly):
        self.count, self.deadly = count, deadly

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if index == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return 1.0


def train_epoch(node, rows):
    # Plain numbers: the memory of a tensor comes from its worker later on, which fails once that is gone.
    batches = iter(DataLoader(rows, num_workers=WORKERS, collate_fn=list))
    if node.arm == "unnoticed":
        # As programs do that want no zombies. PyTorch learns of a worker's end by this signal, or by its zombie.
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for batch in range(node.settings["batches"]):
        if batch == rows.deadly:
            node.stuck()
        node.recorder.step_begin()
        next(batches)
        node.recorder.step_end(rows=1)


def main():
    node = start()
    settings = node.settings
    node.ready()
    for epoch in range(settings["epoch_ends"]):
        node.recorder.epoch_begin(epoch)
        if epoch == settings["hang_at"]:
            try:
                train_epoch(node, Rows(settings["batches"], deadly=settings["batches"] - 1))
            except RuntimeError as error:
                print("epoch %d again: %s" % (epoch, error))
                train_epoch(node, Rows(settings["batches"], deadly=None))
        else:
            train_epoch(node, Rows(settings["batches"], deadly=None))
        node.recorder.epoch_end(epoch)
    node.done()


if __name__ == "__main__":
    main()
