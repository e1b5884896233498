"""Which rank a dump is of, by its file's name, by who said its lines, or by the command line in it. Pure."""

from __future__ import annotations

import re
import shlex

from diagnostics.discover.identity import flags_of, identity_of

_ROLE = re.compile(r"(?:^|[^a-z])(chief|master|worker|ps|evaluator|launcher)[-_:. ]?(\d+)(?!\d)", re.I)
_NUMBER = re.compile(r"(?:^|[^a-z])(?:rank|node|proc|host)[-_:. ]?(\d+)(?!\d)", re.I)
_TRACE = re.compile(r"trace(?:_[a-z]+)*_(\d+)(?:\.\w+)?$")


def rank_in(name: str) -> str:
    """`logs/worker-0.txt` -> `worker:0`, `rank3.gdb` -> `worker:3`; "" where the name tells none."""
    if role := _ROLE.search(name):
        return f"{role[1].lower()}:{int(role[2])}"
    if number := (_NUMBER.search(name) or _TRACE.search(name)):
        return f"worker:{int(number[1])}"
    return ""


def rank_of_command(command: str) -> str:
    """By the flags of a TensorFlow 1 program; "" where they do not tell."""
    try:
        words = shlex.split(command[:65536])
    except ValueError:
        words = command.split()
    identity = identity_of({}, words)
    if identity:
        return identity.rank
    flags = flags_of(words)
    role, index = flags.get("job_name", ""), flags.get("task_index", "0")
    return f"{role}:{int(index)}" if role.isalpha() and index.isdigit() else ""
