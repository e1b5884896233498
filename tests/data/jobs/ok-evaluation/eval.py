import sys, time
import torch, torch.distributed as dist

rank = int(sys.argv[1])
dist.init_process_group("gloo", init_method=sys.argv[2], rank=rank, world_size=2)
model = torch.nn.Sequential(torch.nn.Linear(64, 512), torch.nn.ReLU(), torch.nn.Linear(512, 10))
torch.set_num_threads(1)


def evaluate():
    good = 0
    with torch.no_grad():
        for _ in range(10 ** 9):
            good += int((model(torch.randn(16, 64)).argmax(1) == 3).sum())
    return good


dist.barrier()
print("evaluating", flush=True)
if rank == 0:
    evaluate()
dist.barrier()
