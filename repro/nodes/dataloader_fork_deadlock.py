"""Scenario `dataloader-fork-deadlock`: the workers' dataset needs a lock that was held at the fork."""

import threading

import torch
from torch.utils.data import DataLoader, Dataset

from repro.nodes.node import start
from repro.nodes.plain import train

CACHE = threading.Lock()


class Cached(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        with CACHE:
            return torch.full((2,), float(index))


def write_cache(holding, forked):
    with CACHE:
        holding.set()
        forked.wait()


def main():
    node = start()

    def at_epoch_end(stuck):
        if not stuck:
            return
        holding, forked = threading.Event(), threading.Event()
        writer = threading.Thread(target=write_cache, args=(holding, forked), daemon=True)
        writer.start()
        holding.wait()
        batches = iter(DataLoader(Cached(), num_workers=1, multiprocessing_context=node.arm))
        forked.set()
        writer.join()
        node.stuck()
        for _ in batches:
            pass

    node.ready()
    train(node, at_epoch_end)


if __name__ == "__main__":
    main()
