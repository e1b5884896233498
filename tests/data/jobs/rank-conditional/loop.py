import os, sys, time
import torch
import torch.distributed as dist

rank, port = int(sys.argv[1]), sys.argv[2]
os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=port, RANK=str(rank), WORLD_SIZE="2")
dist.init_process_group("gloo")
w = torch.zeros(10)


def log_metrics(loss):
    # average over everybody, but only the main process prints
    t = torch.tensor([loss])
    dist.broadcast(t, src=1)
    print("loss", t.item(), flush=True)


def end_of_epoch():
    dist.barrier()


for step in range(100):
    g = torch.randn(10)
    dist.all_reduce(g)
    w -= 0.1 * g
    if step == 20:
        print("hung_at", time.time(), flush=True)
        if rank == 0:
            log_metrics(float(w.sum()))
        else:
            end_of_epoch()
