import sys
import time
from datetime import timedelta

import torch
import torch.distributed as dist

id_, n, port = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
store = dist.TCPStore("127.0.0.1", port, n, id_ == 0, timeout=timedelta(hours=6))
dist.init_process_group("gloo", store=dist.PrefixStore("pg", store), rank=id_, world_size=n)


def publish_vocab():
    if id_ == 0:
        store.set("vocab/ready", "1")


def wait_for_vocab():
    if id_ != 0:
        print("node", id_, "waits for the vocabulary, hung_at", time.time(), flush=True)
        store.wait(["vocab_ready"])


def train():
    w = torch.zeros(3)
    for _ in range(10):
        dist.all_reduce(w)


publish_vocab()
wait_for_vocab()
train()
