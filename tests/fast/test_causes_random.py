"""No cause fails on evidence that is valid, whatever is in it. LASTBATCH_RANDOM_COLLECTIONS sets how much is tried."""

from __future__ import annotations

import enum
import functools
import os
import random
import types
import typing
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diagnostics.model import Collection, Process
from diagnostics.pipeline import explain

EXAMPLES = int(os.environ.get("LASTBATCH_RANDOM_COLLECTIONS", "500"))

_WORDS = (
    "", "worker:0", "worker:1", "ps:0", "child/worker:0/11", "pid:12", "host/h", "h", "S", "R", "D", "T", "Z", "mutex",
    "futex", "pipe", "socket", "child", "file", "flock", "name", "read", "write", "wait4", "step", "epoch", "barrier",
    "step_begin", "step_end", "exit", "end_of_sequence", "tensorflow", "torch", "1.12.0", "2.", "all_reduce",
    "distributed_c10d.py", "threading.py", "queue.py", "train.py", "wait", "get", "join", "acquire", "fork", "_launch",
    "tensorflow::LocalMaster::RunStep", "DirectSession::WaitForNotification", "pthread_cond_wait", "take_gil",
    "10.0.0.1:2222", "10.0.0.2:2222", "10.0.0.1:2222 -> 10.0.0.2:2222", "ESTABLISHED", "SYN_SENT", "pipe_write",
    "nfs_wait", "\0", "\u202e", "x" * 300,
    "CreateSession still waiting for response from worker: /job:ps/replica:0/task:1",
)  # fmt: skip
_NUMBERS = (-1, 0, 1, 2, 7, 11, 12, 4711, 2**31, 2**63 - 1, -(2**62))
_SECONDS = (-1.0, 0.0, 0.001, 1.0, 2.0, 61.0, 1e9, -5.0, 1e300)


def value(of: Any, dice: random.Random, depth: int = 0) -> Any:
    """A valid value of a type as the model writes it."""
    origin, inner = typing.get_origin(of), typing.get_args(of)
    if origin in (typing.Union, types.UnionType):
        return value(dice.choice(inner), dice, depth)
    if origin is tuple:
        if inner[-1] is not Ellipsis:
            return tuple(value(one, dice, depth) for one in inner)
        return tuple(value(inner[0], dice, depth + 1) for _ in range(dice.randint(0, 3 if depth else 4)))
    if origin is dict:
        return {}
    if of is type(None):
        return None
    if of is bool:
        return dice.random() < 0.5
    if of is int:
        return dice.choice(_NUMBERS)
    if of is float:
        return dice.choice(_SECONDS)
    if of is str:
        return dice.choice(_WORDS)
    if issubclass(of, enum.Enum):
        return dice.choice(list(of))
    chosen = [(name, hint) for name, hint, required in fields_of(of) if required or dice.random() < 0.6]
    return of(**{name: value(hint, dice, depth) for name, hint in chosen})


@functools.cache
def fields_of(of: Any) -> list[tuple[str, Any, bool]]:
    """Name, type, and whether it must be given."""
    hints = typing.get_type_hints(of)
    return [(field.name, hints[field.name], field.required) for field in msgspec.structs.fields(of)]


def collection(seed: int) -> Collection:
    dice = random.Random(seed)
    processes = tuple(value(Process, dice, 1) for _ in range(dice.randint(0, 5)))
    whole: Collection = value(Collection, dice, 1)
    return msgspec.structs.replace(whole, processes=processes)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32))
def test_no_cause_fails(seed: int) -> None:
    """GIVEN any valid collection THEN there is a diagnosis, and no stage of it failed."""
    _, diagnosis = explain(collection(seed))
    assert not diagnosis.errors
    assert all(0 <= finding.confidence <= 1 for finding in diagnosis.findings)
