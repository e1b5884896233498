"""Ports that stay ours: leased by a lock that the kernel drops when the program ends, however it ends.

TensorFlow wants the number before it binds, so a free port found by binding to 0 could be taken in between.
These lie below the kernel's range for outgoing connections, and a lock file a port keeps two runs of this
program apart.
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from diagnostics.errors import MissingError

RANGE = range(20000, 30000)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
        return True


@contextmanager
def lease(count: int) -> Iterator[tuple[int, ...]]:
    """`count` TCP ports that are free on all addresses, ours until the block ends or the program dies.

    Raises:
        MissingError: fewer than `count` of the range are free.
    """
    directory = Path(tempfile.gettempdir()) / f"lastbatch-ports-{os.getuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    held: dict[int, int] = {}
    try:
        for port in random.sample(RANGE, len(RANGE)):
            if len(held) == count:
                break
            lock = os.open(directory / str(port), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(lock)
                continue
            # One that was unlinked before we had its lock locks nothing any more: the next to come makes a new one.
            if os.fstat(lock).st_nlink and _is_free(port):
                held[port] = lock
            else:
                os.close(lock)
        if len(held) < count:
            raise MissingError(
                f"only {len(held)} of {count} TCP ports are free from {RANGE.start} to {RANGE.stop - 1}",
                "End what holds them (ss -ltnp), or use fewer ranks",
            )
        yield tuple(held)
    finally:
        for port, lock in held.items():
            (directory / str(port)).unlink(missing_ok=True)
            os.close(lock)
