"""A small file system in memory, served over /dev/fuse: `python disk_server.py DIRECTORY`.

Says `mounted` on standard output. Takes one word a line on standard input: `stall` (from now on nothing is answered)
and `answer`. When its input closes, which the kernel does even after `kill -9` of the program, it unmounts and ends.
One flat directory; the messages are those of linux/fuse.h, 7.31. Standard library only.
"""

import ctypes
import errno
import os
import selectors
import stat
import struct
import sys
import time
from contextlib import suppress
from typing import Callable, Mapping

SOURCE = "lastbatch-disk"
_ROOT = 1
_IN = struct.Struct("<IIQQIIIHH")
_OUT = struct.Struct("<IiQ")
_ATTR = struct.Struct("<6Q10I")
_READ = struct.Struct("<QQIIQII")
_DIRECT_IO = 1
_SIZE_GIVEN = 1 << 3
_libc = ctypes.CDLL(None, use_errno=True)


class Refused(Exception):
    """A request that is answered with an error number."""


class Disk:
    """The files, and what the kernel may ask of them. Node 1 is the directory."""

    def __init__(self) -> None:
        self.names: dict[bytes, int] = {}
        self.data: dict[int, bytearray] = {}
        self.next = _ROOT + 1
        self.began = int(time.time())

    def attributes(self, node: int) -> bytes:
        if node != _ROOT and node not in self.data:
            raise Refused(errno.ENOENT)
        size = 0 if node == _ROOT else len(self.data[node])
        mode = stat.S_IFDIR | 0o777 if node == _ROOT else stat.S_IFREG | 0o666
        when = (self.began,) * 3
        return _ATTR.pack(node, size, -(-size // 512), *when, 0, 0, 0, mode, 1, os.geteuid(), os.getegid(), 0, 4096, 0)

    def _entry(self, node: int) -> bytes:
        # Valid for no time: the kernel asks every time, so that a stall is felt at once.
        return struct.pack("<QQQQII", node, 0, 0, 0, 0, 0) + self.attributes(node)

    def lookup(self, node: int, body: bytes) -> bytes:
        name = body.rstrip(b"\0")
        if name not in self.names:
            raise Refused(errno.ENOENT)
        return self._entry(self.names[name])

    def getattr(self, node: int, body: bytes) -> bytes:
        return struct.pack("<QII", 0, 0, 0) + self.attributes(node)

    def setattr(self, node: int, body: bytes) -> bytes:
        valid, _, _, size = struct.unpack_from("<IIQQ", body)
        if valid & _SIZE_GIVEN:
            held = self.data[node]
            held[:] = held[:size].ljust(size, b"\0")
        return self.getattr(node, body)

    def open(self, node: int, body: bytes) -> bytes:
        return struct.pack("<QII", node, _DIRECT_IO, 0)

    def create(self, node: int, body: bytes) -> bytes:
        name = body[16:].rstrip(b"\0")
        if name not in self.names:
            self.names[name], self.data[self.next] = self.next, bytearray()
            self.next += 1
        return self._entry(self.names[name]) + self.open(self.names[name], b"")

    def read(self, node: int, body: bytes) -> bytes:
        _, offset, size, *_ = _READ.unpack_from(body)
        return bytes(self.data[node][offset : offset + size])

    def write(self, node: int, body: bytes) -> bytes:
        _, offset, size, *_ = _READ.unpack_from(body)
        held = self.data[node]
        held.extend(b"\0" * (offset - len(held)))
        held[offset : offset + size] = body[_READ.size : _READ.size + size]
        return struct.pack("<II", size, 0)

    def readdir(self, node: int, body: bytes) -> bytes:
        _, offset, size, *_ = _READ.unpack_from(body)
        listed = b""
        for number, (name, child) in enumerate(list(self.names.items())[offset:], offset + 1):
            entry = struct.pack("<QQII", child, number, len(name), stat.S_IFREG >> 12) + name
            entry += b"\0" * (-len(entry) % 8)
            if len(listed) + len(entry) > size:
                break
            listed += entry
        return listed

    def unlink(self, node: int, body: bytes) -> bytes:
        self.names.pop(body.rstrip(b"\0"), None)  # who has it open may go on reading
        return b""

    def rename(self, node: int, body: bytes) -> bytes:
        return self._rename(body[8:])

    def rename2(self, node: int, body: bytes) -> bytes:
        return self._rename(body[16:])

    def _rename(self, words: bytes) -> bytes:
        old, new = words.split(b"\0")[:2]
        if old not in self.names:
            raise Refused(errno.ENOENT)
        self.names[new] = self.names.pop(old)
        return b""

    def statfs(self, node: int, body: bytes) -> bytes:
        return struct.pack("<5Q10I", 1 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20, 4096, 255, 4096, *(0,) * 7)

    def init(self, node: int, body: bytes) -> bytes:
        return struct.pack("<IIIIHHIIHHI7I", 7, 31, 1 << 17, 0, 16, 12, 1 << 17, 1, 0, 0, 0, *(0,) * 7)

    def nothing(self, node: int, body: bytes) -> bytes:
        return b""


_UNANSWERED = frozenset({2, 36, 42})  # forget, interrupt, batch forget


def calls_of(disk: Disk) -> Mapping[int, Callable[[int, bytes], bytes]]:
    """By the kernel's number (enum fuse_opcode)."""
    return {
        **dict.fromkeys((18, 20, 25, 29, 34), disk.nothing),  # release, fsync, flush, releasedir, access
        1: disk.lookup, 3: disk.getattr, 4: disk.setattr, 10: disk.unlink, 12: disk.rename, 14: disk.open,
        15: disk.read, 16: disk.write, 17: disk.statfs, 26: disk.init, 27: disk.open, 28: disk.readdir,
        35: disk.create, 45: disk.rename2,
    }  # fmt: skip


def serve(kernel: int, calls: Mapping[int, Callable[[int, bytes], bytes]], request: bytes) -> None:
    _, opcode, unique, node, *_ = _IN.unpack_from(request)
    if opcode in _UNANSWERED:
        return
    number, answer = 0, b""
    try:
        if opcode not in calls:
            raise Refused(errno.ENOSYS)
        answer = calls[opcode](node, request[_IN.size :])
    except Refused as refused:
        number = -refused.args[0]
    except KeyError:
        number = -errno.ENOENT
    with suppress(FileNotFoundError):  # the asker has gone meanwhile
        os.write(kernel, _OUT.pack(_OUT.size + len(answer), number, unique) + answer)


def mount(directory: str) -> int:
    """The descriptor on which the kernel asks."""
    kernel = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    how = f"fd={kernel},rootmode=40000,user_id={os.geteuid()},group_id={os.getegid()},allow_other"
    # By its source a mount tells who serves it. To ask the mount itself may take for ever.
    source = f"{SOURCE}:{os.getpid()}"
    if _libc.mount(source.encode(), directory.encode(), b"fuse", 0, how.encode()):
        number = ctypes.get_errno()
        sys.exit(f"cannot mount on {directory}: {os.strerror(number)}")
    return kernel


def unmount(directory: str) -> None:
    _libc.umount2(directory.encode(), 2)  # MNT_DETACH: also while somebody waits in it


def main() -> None:
    directory = sys.argv[1]
    kernel = mount(directory)
    calls = calls_of(Disk())
    print("mounted", flush=True)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(0, selectors.EVENT_READ)
            selector.register(kernel, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fd == kernel:
                        serve(kernel, calls, os.read(kernel, 1 << 18))
                        continue
                    words = os.read(0, 4096).split()
                    if not words:
                        return
                    if words[-1] == b"stall" and kernel in selector.get_map():
                        selector.unregister(kernel)
                    elif words[-1] == b"answer" and kernel not in selector.get_map():
                        selector.register(kernel, selectors.EVENT_READ)
    except OSError as error:
        if error.errno != errno.ENODEV:  # unmounted by somebody else
            raise
    finally:
        unmount(directory)


if __name__ == "__main__":
    main()
