"""Who a process of a job is, as one tagged value with one parser.

Spelled, as in bundles and on the command line: `worker:3` (role and index), `child/worker:3/4711` (a process that a
rank started), `pid:4711` (no rank is known), `launcher/4711` (it started ranks), `host/node7` (a host of which nothing
else is known). Else it is a name.
"""

from __future__ import annotations

import enum
from functools import lru_cache

from diagnostics.model.record import Record


class RankKind(str, enum.Enum):
    RANK = "rank"  # a role and an index
    CHILD = "child"  # started by a rank
    PROCESS = "process"  # known by its process id alone
    HOST = "host"  # a host that did not answer
    LAUNCHER = "launcher"  # started ranks and is none itself
    NAME = "name"  # a name that has no number: a dump's file


SERVER_ROLES = frozenset({"ps"})


class RankId(Record, frozen=True):
    """`role` and `index` of a rank; `parent` (as spelled) and `pid` of a child; `pid` of a process; `name` else."""

    kind: RankKind
    role: str = ""
    index: int = -1
    parent: str = ""
    pid: int = 0
    name: str = ""

    def __str__(self) -> str:
        if self.kind is RankKind.RANK:
            return f"{self.role}:{self.index}"
        if self.kind is RankKind.CHILD:
            return f"child/{self.parent}/{self.pid}"
        if self.kind is RankKind.PROCESS:
            return f"pid:{self.pid}"
        if self.kind is RankKind.LAUNCHER:
            return f"launcher/{self.pid}"
        return f"host/{self.name}" if self.kind is RankKind.HOST else self.name

    @property
    def is_server(self) -> bool:
        return self.kind is RankKind.RANK and self.role in SERVER_ROLES

    @property
    def is_child(self) -> bool:
        return self.kind is RankKind.CHILD

    @property
    def is_launcher(self) -> bool:
        return self.kind is RankKind.LAUNCHER

    @property
    def helps(self) -> bool:
        """Whether it is no rank, but what ranks have started or what has started ranks."""
        return self.is_child or self.is_launcher

    def is_child_of(self, other: str | RankId) -> bool:
        """Whether that one has started it, directly or not."""
        return self.kind is RankKind.CHILD and self.parent == str(other)


def rank(role: str, index: int) -> RankId:
    return RankId(RankKind.RANK, role=role, index=index)


def child(parent: str | RankId, pid: int) -> RankId:
    """Not itself a rank, and told whose it is."""
    return RankId(RankKind.CHILD, parent=str(parent), pid=pid)


def process(pid: int) -> RankId:
    return RankId(RankKind.PROCESS, pid=pid)


def launcher(pid: int) -> RankId:
    """It started ranks and waits for them: never one of those that are compared."""
    return RankId(RankKind.LAUNCHER, pid=pid)


def host(name: str) -> RankId:
    return RankId(RankKind.HOST, name=name)


@lru_cache(maxsize=1 << 16)
def parse(text: str) -> RankId:
    """What `str()` of an identity gave. Any other text is a name."""
    if text.startswith("child/"):
        parent, _, number = text[len("child/") :].rpartition("/")
        if parent and number.isascii() and number.isdigit():
            return child(parent, int(number))
    elif text.startswith("launcher/"):
        number = text[len("launcher/") :]
        if number.isascii() and number.isdigit():
            return launcher(int(number))
    elif text.startswith("host/"):
        return host(text[len("host/") :])
    role, sign, number = text.rpartition(":")
    if sign and number.isascii() and number.isdigit() and len(number) < 12:
        return process(int(number)) if role == "pid" else rank(role, int(number))
    return RankId(RankKind.NAME, name=text)
