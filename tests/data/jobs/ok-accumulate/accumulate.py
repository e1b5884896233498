import argparse
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel as DDP

a = argparse.ArgumentParser()
a.add_argument("--gpu-id", type=int)
a.add_argument("--coordinator")
a.add_argument("--accumulate", type=int, default=400)
a = a.parse_args()
torch.set_num_threads(1)
dist.init_process_group("gloo", init_method="tcp://" + a.coordinator, rank=a.gpu_id, world_size=2)
net = DDP(torch.nn.Sequential(torch.nn.Linear(256, 1024), torch.nn.Tanh(), torch.nn.Linear(1024, 1)))
step = 0
while True:
    with net.no_sync():
        for _ in range(a.accumulate * (1 + a.gpu_id)):
            net(torch.randn(64, 256)).mean().backward()
    net(torch.randn(64, 256)).mean().backward()
    net.zero_grad()
    step += 1
    if step == 1:
        print("one step", flush=True)
