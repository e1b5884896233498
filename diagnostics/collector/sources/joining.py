"""The group that a rank waits to be formed: its own number and how many ranks it takes. Only where asked for.

Before the group exists no framework has it in memory, but the frames of the call that forms it have both in variables
(PyTorch's `init_process_group`, `jax.distributed.initialize`). py-spy reads them without stopping anybody; what else is
in variables is not kept.
"""

import json
import time
from typing import Any, Dict, Iterable, List, NamedTuple, Optional

from diagnostics.collector.look import Fields, Look, plain
from diagnostics.collector.sources.collectives import ProcessGroup, label
from diagnostics.collector.stacks import pyspy
from diagnostics.collector.stacks.base import CollectorError

BUDGET = 3.0
MOST_RANKS = 1 << 20


class Join(NamedTuple):
    """A call that forms the first group, with the names of its variables. `home`: part of its file's path."""

    home: str
    function: str
    rank: str
    size: str


JOINS = (
    Join("torch/distributed/", "init_process_group", "rank", "world_size"),
    Join("jax/_src/distributed.py", "initialize", "process_id", "num_processes"),
)


def is_join(function: str, file: str) -> bool:
    return any(function.rpartition(".")[2] == join.function and join.home in file for join in JOINS)


def asked(look: Look, wanted: Dict[str, Any], until: float) -> Fields:
    """A `ProcessGroup` of each process that waits for one."""
    found = {pid: group_of(pid) for pid in look.pids if time.monotonic() < until}
    return {pid: plain(group) for pid, group in found.items() if group}


def group_of(pid: int) -> Optional[ProcessGroup]:
    """The group that it waits for; None where that is not seen."""
    try:
        threads = json.loads(pyspy.ask(pid, BUDGET, "--nonblocking", "--locals"))
        return next(iter(_groups(threads)), None)
    except (CollectorError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _groups(threads: List[Dict[str, Any]]) -> Iterable[ProcessGroup]:
    for thread in threads:
        frames = thread["frames"]  # innermost first
        for join in JOINS:
            calls = [at for at, frame in enumerate(frames) if _is_of(join, frame) and frame["name"] == join.function]
            for frame in reversed(frames[: calls[-1] + 1] if calls else []):
                numbers = {local["name"]: _number(local.get("repr") or "") for local in frame.get("locals") or ()}
                rank, size = numbers.get(join.rank, -1), numbers.get(join.size, -1)
                if _is_of(join, frame) and 0 <= rank < size <= MOST_RANKS:
                    yield ProcessGroup(label("0", "default_pg"), "0", "default_pg", (), size, rank, -1, -1, -1)
                    break


def _is_of(join: Join, frame: Dict[str, Any]) -> bool:
    return join.home in str(frame["filename"])


def _number(shown: str) -> int:
    return int(shown) if shown.isdigit() and len(shown) < 9 else -1
