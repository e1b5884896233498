"""What the PyTorch scenarios share: the process group of all ranks, on gloo."""

import datetime

import torch
import torch.distributed as dist


def join_group(node):
    """Wait for all ranks. A collective may wait for half an hour, as by default, so that it is seen waiting."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method="tcp://" + node.addresses["worker"][0],
        rank=node.index,
        world_size=node.count("worker"),
        timeout=datetime.timedelta(minutes=30),
    )
