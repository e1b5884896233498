"""Makes the file of a recording: complete, private and with all its pages, or not at all."""

import errno
import mmap
import os
import socket
import sys
import time
import zlib
from typing import Sequence

from .layout import (
    HEADER,
    HEADER_CHECKED_FROM,
    MAGIC,
    MAX_CAPACITY,
    MAX_EXPECTED_BYTES,
    TEXT_BYTES,
    VERSION,
    Offsets,
    cut,
    header_bytes_for,
)


def boot_id() -> str:
    """This boot's id, or "" where the system has none."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except OSError:
        return ""


def start_ticks(pid: int) -> int:
    """When a process started, in clock ticks since boot; 0 where that is unknown or the process is gone."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as file:
            # The second field is the program's name, which may hold spaces and brackets.
            return int(file.read().rpartition(b")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return 0


def clock_ticks() -> int:
    """Clock ticks per second."""
    try:
        return os.sysconf("SC_CLK_TCK")
    except (AttributeError, ValueError, OSError):
        return 100


def _text(value: str, name: str) -> bytes:
    data = value.encode("utf-8", "replace")
    if len(data) > TEXT_BYTES:
        raise ValueError("%s is longer than %d bytes: %r" % (name, TEXT_BYTES, value))
    if any(byte < 32 for byte in data):
        raise ValueError("%s holds a control character: %r" % (name, value))
    return data


def header(rank: str, runtime: str, capacity: int, expected: Sequence[str]) -> bytes:
    """The header block for this process.

    Raises:
        ValueError: the capacity is out of range, or a text is too long or not printable.
    """
    if not 1 <= capacity <= MAX_CAPACITY:
        raise ValueError("capacity must be from 1 to %d: %r" % (MAX_CAPACITY, capacity))
    if not rank:
        raise ValueError("rank must not be empty")
    world = b"\n".join(_text(name, "expected rank") for name in expected)
    if len(world) > MAX_EXPECTED_BYTES:
        raise ValueError("the expected ranks take more than %d bytes" % MAX_EXPECTED_BYTES)
    pid = os.getpid()
    interpreter = "%s %s" % (sys.implementation.name, sys.version.split()[0])
    size = header_bytes_for(len(world))
    head = bytearray(size)
    HEADER.pack_into(
        head, 0, MAGIC, VERSION, 0, size, len(world), capacity, pid, start_ticks(pid), clock_ticks(), 0,
        time.monotonic(), time.time(), _text(boot_id(), "boot id"), cut(interpreter, TEXT_BYTES),
        cut(socket.gethostname(), TEXT_BYTES), _text(rank, "rank"), _text(runtime, "runtime"),
    )  # fmt: skip
    head[HEADER.size : HEADER.size + len(world)] = world
    head[12:16] = zlib.crc32(bytes(head[HEADER_CHECKED_FROM:])).to_bytes(4, "little")
    return bytes(head)


def _allocate(fd: int, size: int) -> None:
    """Give the file all its blocks now: a full disk is an error here, and not a SIGBUS later."""
    try:
        os.posix_fallocate(fd, 0, size)
        return
    except AttributeError:
        pass
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
    block = b"\0" * 65536
    left = size
    while left:
        left -= os.write(fd, block[: min(left, len(block))])


def create(path: str, head: bytes, offsets: Offsets) -> mmap.mmap:
    """Make the file under another name, fill in its header, move it into place, map it.

    Raises:
        OSError: the file cannot be made, or the disk is full. Nothing is left behind.
    """
    temporary = "%s.new.%d.%s" % (path, os.getpid(), os.urandom(4).hex())
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    fd = os.open(temporary, flags, 0o600)
    try:
        _allocate(fd, offsets.total)
        mapped = mmap.mmap(fd, offsets.total)
        mapped[: len(head)] = head
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    finally:
        os.close(fd)
    return mapped
