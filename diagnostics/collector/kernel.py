"""What the kernel tells: files of /proc and answers of sock_diag. Touches no process.

Also goes along to other hosts, so: the standard library alone, CPython 3.6 and later.
"""

import os
import socket
import struct
from typing import Iterable, List, Union

_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, _DUMP_REQUEST = 4, 20, 0x301  # linux/netlink.h, linux/sock_diag.h
_HEAD = 16
_ERROR, _DONE = 2, 3

Name = Union[str, "os.PathLike[str]"]


def text_of(path: Name, limit: int = 1 << 20) -> str:
    """The file's text, "" where it is gone or may not be read."""
    try:
        with open(path, "rb") as file:
            return file.read(limit).decode("utf-8", "replace")
    except OSError:
        return ""


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
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as kernel:
        kernel.settimeout(5)
        head = struct.pack("=IHHII", _HEAD + len(request), _SOCK_DIAG_BY_FAMILY, _DUMP_REQUEST, 1, 0)
        kernel.send(head + request)
        while True:
            data = kernel.recv(1 << 18)
            while len(data) >= _HEAD:
                length, kind = struct.unpack_from("=IH", data)
                if kind in (_ERROR, _DONE) or length < _HEAD:
                    return
                yield data[_HEAD:length]
                data = data[(length + 3) & ~3 :]
