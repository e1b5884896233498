import os, sys, time
import torch, torch.distributed as dist
from torch.distributed.fsdp import FullyShardedDataParallel as FSDP

os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
os.environ["MASTER_PORT"] = sys.argv[2]
rank = int(sys.argv[1])


def save_checkpoint(model, path):
    if dist.get_rank() == 0:  # one copy is enough
        torch.save(model.state_dict(), path)


dist.init_process_group("gloo", rank=rank, world_size=2)
model = FSDP(torch.nn.Linear(32, 32), device_id=torch.device("cpu"))
opt = torch.optim.SGD(model.parameters(), 0.1)


def train_epoch():
    for _ in range(4):
        model(torch.randn(4, 32)).sum().backward()
        opt.step()
        opt.zero_grad()


train_epoch()
print("hung_at", time.time(), flush=True)
save_checkpoint(model, "model.pt")
train_epoch()
