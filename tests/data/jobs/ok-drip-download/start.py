import os, sys, urllib.request
from datetime import timedelta
import torch, torch.distributed as dist


def get_weights(url, path):
    with urllib.request.urlopen(url) as r, open(path, "wb") as f:
        while chunk := r.read(65536):
            f.write(chunk)


rank, port, mirror = int(os.environ["SLURM_PROCID"]), sys.argv[1], sys.argv[2]
dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2, timeout=timedelta(hours=3))
if rank == 0:
    print("downloading the weights", flush=True)
    get_weights(f"http://127.0.0.1:{mirror}/llama.bin", "llama.bin")
dist.barrier()
