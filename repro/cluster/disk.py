"""Disks that can be stalled: one directory of a rank, served by `disk_server`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from diagnostics.collector import procfs
from diagnostics.collector.kernel import text_of
from diagnostics.errors import MissingError
from repro.nodes import disk_server


class Disk:
    """A mounted file system; `directory` is where."""

    def __init__(self, directory: Path, server: subprocess.Popen[bytes]) -> None:
        self.directory = directory
        self._server = server

    def stall(self) -> None:
        self._say(b"stall\n")

    def answer(self) -> None:
        self._say(b"answer\n")

    def _say(self, word: bytes) -> None:
        assert self._server.stdin
        with suppress(BrokenPipeError):
            self._server.stdin.write(word)
            self._server.stdin.flush()


@contextmanager
def mounted(directory: Path) -> Iterator[Disk]:
    """A disk on a directory that is made for it; unmounted when the block or the program ends.

    Raises:
        MissingError: no /dev/fuse, or no right to mount.
    """
    directory.mkdir(parents=True)
    server = subprocess.Popen(
        [sys.executable, "-I", disk_server.__file__, str(directory)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert server.stdin and server.stdout and server.stderr
    try:
        if server.stdout.readline() != b"mounted\n":
            said = server.stderr.read().decode(errors="replace").strip().splitlines()
            raise MissingError(said[-1] if said else "no disk could be mounted", "It needs root and /dev/fuse")
        yield Disk(directory, server)
    finally:
        server.stdin.close()
        server.wait()


def sweep() -> tuple[str, ...]:
    """Unmount disks that nobody serves any more; where they were."""
    gone = []
    for line in text_of("/proc/self/mounts").splitlines():
        source, directory = line.split()[:2]
        name, _, pid = source.partition(":")
        if name == disk_server.SOURCE and not _serves(int(pid)):
            disk_server.unmount(directory)
            gone.append(directory)
    return tuple(gone)


def _serves(pid: int) -> bool:
    """Whether it is a disk's server, and not another process that has got its number since."""
    return procfs.exists(pid) and any(word.endswith("/disk_server.py") for word in procfs.command_of(pid))
