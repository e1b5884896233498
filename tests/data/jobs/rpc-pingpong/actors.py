import argparse
import os
import time

import torch
import torch.distributed.rpc as rpc
from torch.distributed.rpc import TensorPipeRpcBackendOptions


class Learner:
    def __init__(self):
        self.weights = torch.zeros(4)

    def get(self):
        return self.weights


learner = Learner()


def pull_weights():
    return learner.get()


def rollout(steps):
    """Runs on the actor; it asks the learner for fresh weights."""
    w = rpc.rpc_sync("learner", pull_weights, timeout=0)
    return float(w.sum()) + steps


def push_and_evaluate(n):
    """Runs on the learner, at the request of an actor, and asks that actor."""
    print("learner evaluates hung_at", time.time(), flush=True)
    return rpc.rpc_sync("actor", rollout, args=(n,), timeout=0)


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("who", choices=["learner", "actor"])
    p.add_argument("--port")
    a = p.parse_args()
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=a.port)
    one = TensorPipeRpcBackendOptions(num_worker_threads=1)
    rpc.init_rpc(a.who, rank=int(a.who == "actor"), world_size=2, rpc_backend_options=one)
    if a.who == "actor":
        for i in range(5):
            print(rpc.rpc_sync("learner", push_and_evaluate, args=(i,), timeout=0), flush=True)
    rpc.shutdown()
