import os
import socket
import time
from datetime import timedelta

import torch
import torch.distributed as dist

RANK = int(os.environ["RANK"])


def with_retries(f, *args):
    delay = 0.1
    while True:
        try:
            return f(*args)
        except OSError:
            time.sleep(delay)
            delay = min(2 * delay, 2.0)


def connect_feature_store():
    return socket.create_connection(("127.0.0.1", 1), timeout=5)


def features(step):
    if step < 5:
        return torch.randn(16)
    if RANK == 1 and step == 5:
        print("hung_at", time.time(), flush=True)
    if RANK == 1:
        return with_retries(connect_feature_store)
    return torch.randn(16)


dist.init_process_group("gloo", timeout=timedelta(hours=5))
for step in range(10):
    x = features(step)
    dist.all_reduce(x)
