"""The frame pointer (RBP) of a thread that sleeps, of which only stack pointer and program counter are known. x86-64.

A function that keeps one sets it up in its first instructions: `push %rbp; mov %rsp,%rbp`, then pushes, then room for
its variables. So when it calls the wrapper of a system call, RBP lies a known distance above the stack pointer. Where
it has taken more room later on, there is no return address behind what is found so, and nothing is said.
"""

import re
import struct
from typing import Callable, Optional

MOST_CODE = 96
"""Bytes from a function's beginning that are looked at."""

_SET = b"\x48\x89\xe5"
_EARLY_END = re.compile(rb"[\x40-\x4f]?\x85[\xc0-\xff](?:\x0f[\x80-\x8f].{4}|[\x70-\x7f].)", re.DOTALL)
"""`test` of a register and a jump: before anything is set up, out of a function that has nothing to do. Who calls
something has not taken it."""
_CALL_LENGTHS = (2, 3, 4, 6, 7)

Read = Callable[[int, int], bytes]
"""Memory of the process: address and size -> what lies there, less where less is mapped."""


def frame_pointer(
    read: Read, pointer: int, stack: bytes, returns_to: int, begin: int, once: bool = False
) -> Optional[int]:
    """What RBP holds, None where that cannot be told.

    Args:
        stack: what lies from the stack `pointer` on.
        returns_to: where the function that it called returns to, in the function that begins at `begin`.
        once: nothing is said where the stack holds this address again: frames lie below it, in which older calls may
            have left it.
    """
    room, wanted = _room(read(begin, MOST_CODE)), struct.pack("<Q", returns_to)
    at = stack.find(wanted)
    if room is None or at < 0 or at % 8 or (once and stack.find(wanted, at + 1) >= 0):
        return None
    base = at + 8 + room
    if base + 16 > len(stack):
        return None
    back = struct.unpack_from("<Q", stack, base + 8)[0]
    return pointer + base if _is_behind_a_call(back, read) else None


def _is_behind_a_call(address: int, read: Read) -> bool:
    """Whether the instruction before this address may be a call."""
    before = read(address - 7, 7) if address > 4096 else b""
    if len(before) < 7:
        return False
    return before[2] == 0xE8 or any(before[-size] == 0xFF and before[-size + 1] >> 3 & 7 == 2 for size in _CALL_LENGTHS)


def _room(code: bytes) -> Optional[int]:
    """Bytes between RBP and the stack pointer once the function is set up; None where it is not set up like that."""
    early = _EARLY_END.match(code)
    code = code[early.end() :] if early else code
    if code[:1] != b"\x55":
        return None
    at, pushed, is_set = 1, 0, False
    while at + 8 <= len(code):
        if is_set and code[at : at + 3] == b"\x48\x83\xec":
            return pushed + code[at + 3] if code[at + 3] < 128 else None
        if is_set and code[at : at + 3] == b"\x48\x81\xec":
            return pushed + int(struct.unpack_from("<I", code, at + 3)[0])
        prefixed = 0x40 <= code[at] <= 0x4F
        operation, operand = code[at + prefixed], code[at + prefixed + 1]
        if 0x50 <= operation <= 0x57:
            pushed += 8 if is_set else 0
            if not is_set:
                return None  # something lies between RBP's place and where it points to
            at += prefixed + 1
        elif operation in (0x89, 0x8B, 0x31) and operand >= 0xC0:  # between registers
            is_set = is_set or code[at : at + 3] == _SET
            at += prefixed + 2
        elif operation == 0x8D and operand >> 6 == 1:  # lea with a short distance
            at += prefixed + (4 if operand & 7 == 4 else 3)
        else:
            return None
    return None
