import os, threading, time
import torch
from torch.utils.data import DataLoader, Dataset

_cache, _guard = {}, threading.Lock()


def lookup(word):
    with _guard:
        return _cache.setdefault(word, len(_cache))


def refresher(started):
    while True:
        with _guard:
            started.set()
            time.sleep(3)
        time.sleep(0.001)


class Words(Dataset):
    def __len__(self):
        return 64

    def __getitem__(self, i):
        if i == 0:
            print("loader", os.getpid(), "hung_at", time.time(), flush=True)
        return torch.tensor(lookup("w%d" % i))


started = threading.Event()
threading.Thread(target=refresher, args=(started,), daemon=True).start()
started.wait()
for batch in DataLoader(Words(), batch_size=8, num_workers=1, multiprocessing_context="fork"):
    print(batch, flush=True)
