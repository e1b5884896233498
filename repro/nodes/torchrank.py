"""What the PyTorch scenarios share: the process group of all ranks, on gloo, and the ways to start them."""

import datetime
import os
import sys

import torch
import torch.distributed as dist

from repro.nodes.node import start


def join_group(node):
    """Wait for all ranks. A collective may wait for half an hour, as by default, so that it is seen waiting."""
    torch.set_num_threads(1)
    by_torchrun = "LOCAL_RANK" in os.environ  # which serves the meeting itself
    dist.init_process_group(
        "gloo",
        init_method="env://" if by_torchrun else "tcp://" + node.addresses["worker"][0],
        rank=node.index,
        world_size=node.settings["workers"],
        timeout=datetime.timedelta(minutes=30),
    )


def steps(node, healthy):
    """The job's steps; each tells whether it is the one that goes wrong, in any arm but the healthy one."""
    settings, recorder = node.settings, node.recorder
    node.ready()
    for epoch in range(settings["epoch_ends"]):
        recorder.epoch_begin(epoch)
        for batch in range(settings["batches"]):
            recorder.step_begin()
            wrong = epoch == settings["hang_at"] and batch == settings["batches"] - 1 and node.arm != healthy
            if wrong:
                node.stuck()
            yield wrong
            recorder.step_end(rows=1)
        recorder.epoch_end(epoch)
    node.done()


def run_ranks(work):
    """Run `work(node)` as a rank of the group; or be what starts all ranks, where the setting `launch` says so."""
    node = start()
    launch = node.settings.get("launch", "hand")
    if launch == "spawn":
        torch.multiprocessing.spawn(_spawned, (work, sys.argv), nprocs=node.settings["workers"])
    elif launch == "torchrun" and "LOCAL_RANK" not in os.environ:
        module = sys.modules["__main__"].__spec__.name
        count = "--nproc-per-node=%d" % node.settings["workers"]
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", count, "-m", module]
        os.execv(sys.executable, torchrun + sys.argv[1:])
    else:
        node.index = int(os.environ.get("LOCAL_RANK", node.index))
        _run(work, node)


def _spawned(index, work, argv):
    sys.argv[:] = argv
    node = start()
    node.index = index
    _run(work, node)


def _run(work, node):
    join_group(node)
    work(node)
