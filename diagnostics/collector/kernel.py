"""What the kernel tells: files of /proc and answers over netlink. Touches no process.

Goes along to other hosts, so: the standard library alone, CPython 3.6 and later.
"""

import ctypes
import os
import socket
import struct
from typing import Dict, Iterable, List, Union

ROUTE, SOCK_DIAG = 0, 4  # linux/netlink.h
_SOCK_DIAG_BY_FAMILY, _DUMP_REQUEST = 20, 0x301  # linux/sock_diag.h
_MEMFD_CREATE = {"x86_64": 319, "aarch64": 279}
_HEAD = 16
_ERROR, _DONE = 2, 3

Name = Union[str, "os.PathLike[str]"]


def text_of(path: Name, limit: int = 1 << 20) -> str:
    """The file's text, "" where it is gone or may not be read."""
    try:
        with open(path, "rb", buffering=0) as file:
            parts = []
            while limit > 0:
                data = file.read(min(limit, 1 << 16))
                if not data:
                    break
                parts.append(data)
                limit -= len(data)
            return b"".join(parts).decode("utf-8", "replace")
    except OSError:
        return ""


def in_memory(name: str, data: bytes) -> int:
    """A descriptor of an anonymous file with this content (man 2 memfd_create). It is gone with its last user.

    Raises:
        OSError: the kernel has no such files.
    """
    if hasattr(os, "memfd_create"):  # from CPython 3.8 on
        handle = os.memfd_create(name, 0)
    else:
        libc = ctypes.CDLL(None, use_errno=True)
        handle = libc.syscall(_MEMFD_CREATE.get(os.uname().machine, -1), name.encode(), 0)
        if handle < 0:
            raise OSError(ctypes.get_errno(), "memfd_create")
    while data:
        data = data[os.write(handle, data) :]
    os.set_inheritable(handle, True)
    return handle


def stat_fields(path: Name) -> List[str]:
    """Of a process or thread: what comes after its name, the state first; `[""]` where there is none (man 5 proc).

    The name may hold spaces and brackets.
    """
    return text_of(path).rpartition(")")[2].split() or [""]


def sock_diag(request: bytes) -> Iterable[bytes]:
    """The answers to a question about all sockets of a kind, without their headers (man 7 sock_diag).

    Raises:
        OSError: the kernel does not answer such questions, or not to us.
    """
    return netlink(SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, request)


def netlink(protocol: int, kind: int, request: bytes) -> Iterable[bytes]:
    """The answers to a question about all there is of something, without their headers (man 7 netlink).

    Raises:
        OSError: the kernel does not answer such questions, or not to us.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as kernel:
        kernel.settimeout(5)
        head = struct.pack("=IHHII", _HEAD + len(request), kind, _DUMP_REQUEST, 1, 0)
        kernel.send(head + request)
        while True:
            data = kernel.recv(1 << 18)
            while len(data) >= _HEAD:
                length, said = struct.unpack_from("=IH", data)
                if said in (_ERROR, _DONE) or length < _HEAD:
                    return
                yield data[_HEAD:length]
                data = data[(length + 3) & ~3 :]


def attributes(message: bytes, start: int) -> Dict[int, bytes]:
    """The attributes behind the fixed part of a netlink message, by their numbers."""
    found = {}
    while start + 4 <= len(message):
        length, kind = struct.unpack_from("=HH", message, start)
        found[kind & 0x3FFF] = message[start + 4 : start + length]
        start += max((length + 3) & ~3, 4)
    return found
