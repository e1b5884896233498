"""Two RPC workers: "trainer" asks "table" for rows."""
import os
import sys
import threading
import time
import torch
import torch.distributed.rpc as rpc

loaded = threading.Event()


def rows(ids):
    if max(ids) > 100:
        print("hung_at", time.time(), flush=True)
        loaded.wait()  # the big part of the table is loaded on demand
    return torch.ones(len(ids), 4)


def main(name, rank, port):
    os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = "127.0.0.1", port
    rpc.init_rpc(name, rank=rank, world_size=2, rpc_backend_options=rpc.TensorPipeRpcBackendOptions(rpc_timeout=100000))
    if name == "trainer":
        for start in (0, 50, 90, 120):
            rpc.rpc_sync("table", rows, args=(list(range(start, start + 10)),))
            print("got", start, flush=True)
    rpc.shutdown()


main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
