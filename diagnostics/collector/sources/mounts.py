"""Which files may be touched: on a network file system that does not answer, whoever opens one waits for ever.

So another process tries first; if it does not come back, it is left behind, and nobody else waits.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable

from diagnostics.collector import namespaces
from diagnostics.collector.kernel import text_of
from diagnostics.collector.sources.blocking_calls import Mount, is_below, mounts_in

REMOTE = (
    "nfs", "cifs", "smb3", "fuse", "lustre", "ceph", "gpfs", "beegfs", "9p", "afs", "glusterfs", "wekafs", "orangefs",
    "virtiofs", "panfs",
)  # fmt: skip
"""Beginnings of the types whose server may be lost."""

PATIENCE = 2.0
"""Seconds for a file system to answer."""

_TRIED_AGAIN_AFTER = 60.0
_TRY = "import sys; open(sys.argv[1], 'rb').read(1)"


def answering(pid: int, paths: Iterable[str]) -> tuple[str, ...]:
    """Those of the paths, which are the process's own, whose file system is a local one or answers."""
    wanted = tuple(paths)
    mounts = mounts_in(text_of(f"/proc/{pid}/mountinfo", 4 << 20))
    if not any(mount.kind.startswith(REMOTE) for mount in mounts):
        return wanted
    return tuple(path for path in wanted if _answers(pid, path, mounts))


def _answers(pid: int, path: str, mounts: Iterable[Mount]) -> bool:
    above = max((mount for mount in mounts if is_below(path, mount.point)), key=lambda m: len(m.point), default=None)
    if above is None or not above.kind.startswith(REMOTE):
        return True
    at, answered = _tried.get(above, (0.0, False))
    if not at or time.monotonic() - at > _TRIED_AGAIN_AFTER:
        answered = _opens(str(namespaces.path_of(pid, path)))
        _tried[above] = time.monotonic(), answered
    return answered


_tried: dict[Mount, tuple[float, bool]] = {}
"""When each was tried, and whether it answered. One file of a mount stands for all."""


def _opens(path: str) -> bool:
    trial = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _TRY, path], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        trial.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        trial.kill()
        return False
    return True
