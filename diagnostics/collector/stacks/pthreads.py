"""From the address by which libpthread knows a thread to the kernel's id of it.

CPython before 3.11 keeps only the address. glibc's `struct pthread` holds the id at a place that has not moved since
2.4 (nptl/descr.h); what is read there counts only if the process has such a thread.
"""

import os
import struct
from typing import Collection

_OFFSETS = {"x86_64": 0x2D0, "aarch64": 0xD0}


def tid_of(pid: int, address: int, known: Collection[int]) -> int:
    """The thread's id as the process itself knows it; 0 where it cannot be read, or is none of `known`."""
    offset = _OFFSETS.get(os.uname().machine)
    if offset is None:
        return 0
    try:
        with open("/proc/%d/mem" % pid, "rb", buffering=0) as memory:
            (tid,) = struct.unpack("<i", os.pread(memory.fileno(), 4, address + offset))
    except (OSError, struct.error, OverflowError):
        return 0
    return int(tid) if tid in known else 0
