"""What a process reads and writes: bytes, offsets, and when its files last grew."""

import os
import time
from typing import Iterable, List

from diagnostics.collector import namespaces, procfs
from diagnostics.collector.look import Fields, Look, Target
from diagnostics.collector.sources import mounts


def sample(look: Look) -> Fields:
    found = {}
    for pid, target in look.targets.items():
        io = procfs.io_of(pid)
        found[pid] = {
            "log_bytes": _size(target.log), "disk_bytes": io.disk, "io_bytes": io.moved, "io_written": io.written,
            "file_offsets": procfs.file_offsets_of(pid), "file_age": _age(_written(target)),
        }  # fmt: skip
    return found


def _written(target: Target) -> List[str]:
    """The files that it writes to on file systems that answer, its log, and its output."""
    paths = mounts.answering(target.pid, procfs.written_files(target.pid))
    return (
        [namespaces.path_of(target.pid, path) for path in paths] + ([target.log] if target.log else []) + _pipes(target)
    )


def _pipes(target: Target) -> List[str]:
    """Pipes that it has for output: the kernel keeps when one was last written to (pipe_write in fs/pipe.c)."""
    found = procfs.open_files(target.pid)
    return [
        "/proc/%d/fd/%s" % (target.pid, number) for number in ("1", "2") if found.get(number, "").startswith("pipe:")
    ]


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size if path else 0
    except OSError:
        return 0


def _age(paths: Iterable[str]) -> float:
    """Seconds since any of these was last written, -1 for none."""
    times = []
    for path in paths:
        try:
            times.append(os.stat(path).st_mtime)
        except OSError:
            continue
    return round(max(0.0, time.time() - max(times)), 3) if times else -1.0
