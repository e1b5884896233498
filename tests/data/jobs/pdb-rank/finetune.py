import os, time
import torch, torch.distributed as dist

dist.init_process_group("gloo")
rank = dist.get_rank()
w = torch.zeros(10, requires_grad=True)


def check_loss(loss, step):
    if step == 7 and rank == 1:
        print("hung_at", time.time(), flush=True)
        breakpoint()
    return loss


def step_fn(step):
    x = torch.randn(10)
    loss = check_loss(((w - x) ** 2).sum(), step)
    loss.backward()
    dist.all_reduce(w.grad)
    with torch.no_grad():
        w.sub_(0.01 * w.grad)
    w.grad = None
    return loss.item()


for s in range(100):
    v = step_fn(s)
    if rank == 0:
        print("step", s, "loss", v, flush=True)
