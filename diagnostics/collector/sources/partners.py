"""Whom a rank sends to or receives from: rings of PyTorch do not tell it of all backends. Only where asked for.

The frames of `send` and `recv` have the other rank in a variable. py-spy reads it without stopping anybody; what else
is in variables is not kept. CPython 3.6, the standard library alone.
"""

import json
import time
from typing import Any, Dict, Iterable, List, NamedTuple

from diagnostics.collector.look import Fields, Look, plain
from diagnostics.collector.stacks import pyspy
from diagnostics.collector.stacks.base import CollectorError

BUDGET = 3.0
OPERATIONS = {"send": "dst", "recv": "src", "send_object_list": "dst", "recv_object_list": "src"}
"""Functions, and the variable that has the other's rank in the job (torch.distributed, 1.0 and later)."""
HOME = "torch/distributed/"


class Partner(NamedTuple):
    """As `diagnostics.model.Partner`."""

    tid: int
    operation: str
    rank: int


def asked(look: Look, wanted: Dict[str, Any], until: float) -> Fields:
    """`partners` of each process that has some."""
    found = {pid: partners_of(pid) for pid in look.pids if time.monotonic() < until}
    return {pid: {"partners": plain(partners)} for pid, partners in found.items() if partners}


def partners_of(pid: int) -> List[Partner]:
    """[] where it is not seen."""
    try:
        threads = json.loads(pyspy.ask(pid, BUDGET, "--nonblocking", "--locals"))
        return list(_partners(threads))
    except (CollectorError, ValueError, KeyError, TypeError, AttributeError):
        return []


def is_partnered(function: str, file: str) -> bool:
    """Whether it is such a frame."""
    return function in OPERATIONS and HOME in file


def _partners(threads: List[Dict[str, Any]]) -> Iterable[Partner]:
    for thread in threads:
        for frame in thread["frames"]:
            if is_partnered(frame["name"], frame["filename"]):
                name = OPERATIONS[frame["name"]]
                known = {one["name"]: one.get("repr") or "" for one in frame.get("locals") or ()}
                if known.get(name, "").isdigit():
                    yield Partner(thread["os_thread_id"], frame["name"], int(known[name]))
                break  # the innermost one
