"""Which files may be touched: on a network file system that does not answer, whoever opens one waits for ever.

So another process tries first; if it does not come back, it is left behind, and nobody else waits.
"""

import time
from typing import Dict, Iterable, Tuple

from diagnostics.collector import forked, namespaces
from diagnostics.collector.kernel import text_of
from diagnostics.collector.mountinfo import Mount, is_below, mounts_in

REMOTE = (
    "nfs", "cifs", "smb3", "fuse", "lustre", "ceph", "gpfs", "beegfs", "9p", "afs", "glusterfs", "wekafs", "orangefs",
    "virtiofs", "panfs",
)  # fmt: skip
"""Beginnings of the types whose server may be lost."""

PATIENCE = 2.0
"""Seconds for a file system to answer."""

_TRIED_AGAIN_AFTER = 60.0


def answering(pid: int, paths: Iterable[str]) -> Tuple[str, ...]:
    """Those of the paths, which are the process's own, whose file system is a local one or answers."""
    wanted = tuple(paths)
    if not wanted:
        return ()
    text = text_of("/proc/%d/mountinfo" % pid, 4 << 20)
    if not any(" - " + kind in text for kind in REMOTE):
        return wanted
    mounts = mounts_in(text)
    return tuple(path for path in wanted if _answers(pid, path, mounts))


def _answers(pid: int, path: str, mounts: Iterable[Mount]) -> bool:
    above = max((mount for mount in mounts if is_below(path, mount.point)), key=lambda m: len(m.point), default=None)
    if above is None or not above.kind.startswith(REMOTE):
        return True
    at, answered = _tried.get(above, (0.0, False))
    if not at or time.monotonic() - at > _TRIED_AGAIN_AFTER:
        answered = _opens(namespaces.path_of(pid, path))
        _tried[above] = time.monotonic(), answered
    return answered


_tried: Dict[Mount, Tuple[float, bool]] = {}
"""When each was tried, and whether it answered. One file of a mount stands for all."""


def _opens(path: str) -> bool:
    def attempt() -> bytes:
        try:
            with open(path, "rb", buffering=0) as file:
                file.read(1)
        except OSError:
            pass  # that is an answer, too
        return b"answered"

    try:
        return forked.call(attempt, PATIENCE) == b"answered"
    except forked.Failed:
        return False
