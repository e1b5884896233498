"""What a job carries that was prepared for faulthandler and for the Flight Recorder. CPython 3.6 syntax.

Python imports it at start by its name, where its folder is on PYTHONPATH.
"""

import faulthandler
import os
import signal
import sys
import threading
import time

FOLDER = os.environ.get("HANGS_FOLDER", "")


def register():
    try:
        written = open(os.path.join(FOLDER, f"faulthandler-{os.getpid()}"), "w")  # noqa: SIM115  for the process's life
        faulthandler.register(signal.SIGUSR1, file=written, all_threads=True)
    except Exception:
        pass  # a job is never to fail for it


def dump_when_asked():
    asked = os.path.join(FOLDER, "dump-asked")
    told = False
    while not os.path.exists(asked):
        if not told and is_rank():
            told = True
            open(os.path.join(FOLDER, f"torch-{os.getpid()}"), "w").close()
        time.sleep(0.5)
    if is_rank():
        dump()


def is_rank():
    """A launcher has the module, too, but is in no group."""
    return getattr(sys.modules.get("torch.distributed"), "is_initialized", bool)()


def dump():
    import pickle

    import torch._C._distributed_c10d as native
    from torch.distributed import distributed_c10d as groups

    rank = groups.get_rank()
    found = pickle.loads(native._dump_fr_trace())
    world = groups._world
    found["pg_config"] = {
        world.pg_names[group]: {
            "name": world.pg_names[group], "desc": group.group_desc, "ranks": str(sorted(members)),
        }
        for group, members in world.pg_group_ranks.items()
    }  # fmt: skip
    place(os.path.join(FOLDER, "pids"), str(rank), str(os.getpid()).encode())
    place(os.path.join(FOLDER, "ranks"), f"rank_{rank}", pickle.dumps(found))


def place(folder, name, data):
    """Whole, or not at all."""
    os.makedirs(folder, exist_ok=True)
    part = os.path.join(FOLDER, f"part-{name}-{os.getpid()}")
    with open(part, "wb") as file:
        file.write(data)
    os.rename(part, os.path.join(folder, name))


if FOLDER:
    register()
    if os.environ.get("TORCH_FR_BUFFER_SIZE"):
        threading.Thread(target=dump_when_asked, daemon=True).start()
