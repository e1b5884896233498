"""The mounted file systems that a process sees (/proc/PID/mountinfo, man 5 proc).

Goes along to other hosts, so: the standard library alone, CPython 3.6 and later.
"""

import re
from typing import List, NamedTuple


class Mount(NamedTuple):
    """A mounted file system. `number` is the same wherever this mount is seen."""

    number: str
    point: str
    kind: str
    source: str


def mounts_in(text: str) -> List[Mount]:
    """The lines of mountinfo."""
    found = []
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        head, tail = left.split(), right.split()
        if len(head) > 4 and len(tail) > 1:
            found.append(Mount(head[0], _unescaped(head[4]), tail[0], _unescaped(tail[1])))
    return found


def _unescaped(word: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), word) if "\\" in word else word


def is_below(path: str, point: str) -> bool:
    return path == point or path.startswith(point.rstrip("/") + "/")
