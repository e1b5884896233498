"""What the sources share while they look at the same processes. CPython 3.6, the standard library alone."""

from typing import Any, Dict, Iterable, List, NamedTuple, Optional

from diagnostics.collector.sched import TaskClocks
from diagnostics.collector.sockets import Sockets, sockets_of

Fields = Dict[int, Dict[str, Any]]
"""pid -> fields of `diagnostics.model.Process`, or of `Sample`, with plain values."""


class Target(NamedTuple):
    """A process to look at. `recorder` and `log` are files as this program reaches them, "" for none."""

    pid: int
    recorder: str = ""
    log: str = ""


class Look(object):
    """The processes, and what is asked of the kernel once for all of them. `may_stop`: threads may be, for moments."""

    def __init__(self, targets: Iterable[Target], may_stop: bool = False) -> None:
        self.may_stop = may_stop
        self.targets = {target.pid: target for target in targets}
        self.clocks = TaskClocks()
        self._sockets: Optional[Dict[int, Sockets]] = None

    @property
    def pids(self) -> List[int]:
        return list(self.targets)

    @property
    def sockets(self) -> Dict[int, Sockets]:
        """As they were when the first source of this round asked."""
        if self._sockets is None:
            self._sockets = sockets_of(self.targets)
        return self._sockets

    def renew(self) -> None:
        """Forget what changes: a new round begins."""
        self._sockets = None


def plain(value: Any) -> Any:
    """With dictionaries in place of named tuples, for JSON."""
    if hasattr(value, "_asdict"):
        return {name: plain(item) for name, item in zip(value._fields, value)}
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value
