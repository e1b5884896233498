import sys
import time
import urllib.request
from datetime import timedelta

import torch
import torch.distributed as dist

opt = dict(a.lstrip("-").split("=") for a in sys.argv[1:])
ME, ALL = int(opt["me"]), int(opt["all"])


def fetch(url):
    print(f"worker {ME} fetches {url} hung_at {time.time()}", flush=True)
    with urllib.request.urlopen(url) as reply:
        return reply.read()


def load_shard():
    blob = fetch(f"http://127.0.0.1:{opt['bucket']}/c4/shard-{ME}.bin")
    return torch.frombuffer(bytearray(blob), dtype=torch.uint8).float()


def exchange_lengths(data):
    sizes = [None] * ALL
    dist.all_gather_object(sizes, len(data))
    return min(sizes)


dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{opt['meet']}", rank=ME, world_size=ALL, timeout=timedelta(hours=2))
data = load_shard()
n = exchange_lengths(data)
weight = torch.zeros(64)
for i in range(0, n, 64):
    g = data[i : i + 64] - weight
    dist.all_reduce(g)
    weight += 0.1 * g / ALL
