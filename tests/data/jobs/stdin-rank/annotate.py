import os
import sys
import threading
import time
from datetime import timedelta

import torch
import torch.distributed as dist
import torch.multiprocessing as mp


class HumanInTheLoop:
    """Asks at the terminal whether the new checkpoint is better than the old one."""

    def __init__(self, terminal):
        self.terminal = terminal

    def ask(self, question):
        sys.stdin = os.fdopen(self.terminal)
        print("hung_at", time.time(), flush=True)
        return input(question)


def rank_main(rank, port, master, terminal):
    if rank == 0:
        terminal = os.open(os.ttyname(terminal), os.O_RDWR) if terminal >= 0 else 0
    dist.init_process_group("gloo", init_method=f"tcp://localhost:{port}", rank=rank, world_size=3, timeout=timedelta(days=1))
    print("rank", rank, "is", os.getpid(), flush=True)
    for round_ in range(3):
        dist.all_reduce(torch.ones(4))
        if rank == 0:
            HumanInTheLoop(terminal).ask("keep it? ")
        dist.monitored_barrier(timeout=timedelta(hours=9))


if __name__ == "__main__":
    master, slave = os.openpty()
    mp.start_processes(rank_main, (sys.argv[1], master, slave), nprocs=3, start_method="fork")
