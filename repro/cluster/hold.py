"""Holds every packet of netfilter's queue 0 for some milliseconds: `python hold.py MILLISECONDS PID`.

Runs in the network namespace of the rank, and ends with it (or with its parent). A stand-in for netem's delay where
the kernel has none. Standard library only; the messages are those of linux/netfilter/nfnetlink_queue.h.
"""

from __future__ import annotations

import collections
import os
import select
import socket
import struct
import sys
import time

_NETFILTER, _QUEUE = 12, 3  # NETLINK_NETFILTER, NFNL_SUBSYS_QUEUE
_PACKET, _VERDICT, _CONFIG = 0, 1, 2
_ATTR_HEADER, _ATTR_VERDICT = 1, 2
_CONFIG_COMMAND, _CONFIG_PARAMS, _CONFIG_LENGTH = 1, 2, 3
_BIND, _COPY_META, _ACCEPT = 1, 1, 1


def message(kind: int, attribute: int, body: bytes) -> bytes:
    padded = body + b"\0" * (-len(body) % 4)
    content = struct.pack("!BBH", 0, 0, 0) + struct.pack("HH", 4 + len(body), attribute) + padded
    return struct.pack("IHHII", 16 + len(content), _QUEUE << 8 | kind, 1, 0, 0) + content


def packet_ids(data: bytes) -> list[int]:
    found = []
    while len(data) >= 16:
        length, kind = struct.unpack_from("IH", data)
        if kind == _QUEUE << 8 | _PACKET:
            at = 20
            while at + 4 <= length:
                size, attribute = struct.unpack_from("HH", data, at)
                if attribute & 0x3FFF == _ATTR_HEADER:
                    found.append(struct.unpack_from("!I", data, at + 4)[0])
                at += max(4, (size + 3) & ~3)
        data = data[max(16, (length + 3) & ~3) :]
    return found


def main() -> None:
    seconds, pid = int(sys.argv[1]) / 1000, sys.argv[2]
    held: collections.deque[tuple[float, int]] = collections.deque()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER) as kernel:
        kernel.bind((0, 0))
        kernel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        kernel.send(message(_CONFIG, _CONFIG_COMMAND, struct.pack("!BxH", _BIND, socket.AF_INET)))
        kernel.send(message(_CONFIG, _CONFIG_PARAMS, struct.pack("!IB", 0, _COPY_META)))
        kernel.send(message(_CONFIG, _CONFIG_LENGTH, struct.pack("!I", 100_000)))
        while os.path.exists(f"/proc/{pid}"):
            wait = max(0.0, held[0][0] - time.monotonic()) if held else 1.0
            if select.select([kernel], [], [], min(wait, 1.0))[0]:
                until = time.monotonic() + seconds
                held.extend((until, number) for number in packet_ids(kernel.recv(1 << 20)))
            while held and held[0][0] <= time.monotonic():
                kernel.send(message(_VERDICT, _ATTR_VERDICT, struct.pack("!II", _ACCEPT, held.popleft()[1])))


if __name__ == "__main__":
    main()
