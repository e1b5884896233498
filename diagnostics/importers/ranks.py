"""Which rank a dump is of, by its file's name, by who said its lines, or by the command line in it. Pure."""

from __future__ import annotations

import re
import shlex
from pathlib import PurePath

from diagnostics.discover.identity import flags_of, identity_of

_ROLE = re.compile(r"(?:^|[^a-z])(chief|master|worker|ps|evaluator|launcher)[-_:. ]?(\d+)(?!\d)", re.I)
_NUMBER = re.compile(r"(?:^|[^a-z])(?:rank|node|proc|host|task)[-_:.= ]?(\d+)(?!\d)", re.I)
_TRACE = re.compile(r"trace(?:_[a-z]+)*_(\d+)(?:\.\w+)?$")
_SLURM = re.compile(r"(?:slurm|job|log|out)\w*[-_]\d+[-_](\d+)\.(?:out|err|log)$", re.I)
_BARE = re.compile(r"^\d{1,6}$")
_STREAMS = frozenset({"stdout.log", "stderr.log", "stdout", "stderr", "out.log", "err.log", "error.json"})


def rank_in(name: str) -> str:
    """`logs/worker-0.txt` -> `worker:0`, `rank3.gdb` -> `worker:3`; "" where the name tells none."""
    if role := _ROLE.search(name):
        return f"{role[1].lower()}:{int(role[2])}"
    if number := (_NUMBER.search(name) or _TRACE.search(name)):
        return f"worker:{int(number[1])}"
    return ""


def rank_of_path(path: str) -> str:
    """By the file's name, or by the folder that a launcher keeps a rank's streams in.

    `attempt_0/3/stderr.log` of torchrun, `job-123-4.out` of `srun -o job-%j-%t.out`.
    """
    parts = PurePath(path).parts
    name, parent = (parts or ("",))[-1], parts[-2] if len(parts) > 1 else ""
    if named := rank_in(name):
        return named
    if name in _STREAMS and _BARE.match(parent):
        return f"worker:{int(parent)}"
    if slurm := _SLURM.search(name):
        return f"worker:{int(slurm[1])}"
    return rank_in(parent)


def rank_of_command(command: str) -> str:
    """By the flags of a TensorFlow 1 program, or a process's title; "" where they do not tell."""
    try:
        words = shlex.split(command[:65536])
    except ValueError:
        words = command.split()
    identity = identity_of({}, words)
    if identity:
        return identity.rank
    flags = flags_of(words)
    role, index = flags.get("job_name", ""), flags.get("task_index", "0")
    return f"{role}:{int(index)}" if role.isalpha() and index.isdecimal() else ""


_CHILD = re.compile(
    r"multiprocessing[. -](?:fork|spawn|forkserver|resource_tracker)|--multiprocessing-fork|pt_data_worker"
)


def is_child(command: str, of: str) -> bool:
    """Whether the command line is one of a process that another one started, or a fork's, which keeps its parent's."""
    return bool(_CHILD.search(command)) or bool(command and command == of)
