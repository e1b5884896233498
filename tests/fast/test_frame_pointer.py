"""Where a function that keeps a frame pointer has it, from its first instructions and the stack below."""

from __future__ import annotations

import struct

import pytest

from diagnostics.collector.stacks.unwind.frame_pointer import frame_pointer

BEGIN, BACK, RETURN, STACK = 0x10000, 0x20007, 0x10050, 0x7000
# push rbp; mov rbp,rsp; push r15; push r14; mov r14,rdi; push r13; lea r13,[rbp-0x40]; push r12; push rbx; sub rsp,0x38
SMALL = bytes.fromhex("554889e5415741564989fe41554c8d6dc04154534883ec38418b06") + bytes(80)
# push rbp; mov r10,rsi; mov rbp,rsp; push r15; sub rsp,0xc8
LARGE = bytes.fromhex("554989f24889e541574881ecc8000000") + bytes(80)
# test rsi,rsi; jle +0x9a; push rbp; mov rbp,rsp; push r14; push rbx; sub rsp,0x10
EARLY_END = bytes.fromhex("4885f60f8e9a000000554889e5415653" + "4883ec10") + bytes(80)
EARLY_SHORT = bytes.fromhex("85ff7405" + "554889e5415653" + "4883ec10") + bytes(80)
NO_ROOM_TOLD = bytes.fromhex("554889e5c3") + bytes(92)
NO_POINTER = bytes.fromhex("41574883ec38") + bytes(90)
CALL, NO_CALL = b"\x90\x90\xe8\x01\x02\x03\x04", bytes(7)


def found(code: bytes, room: int, before: bytes = CALL, below: bytes = b"", once: bool = False) -> int | None:
    """With a return address as far above as `room` bytes of the function's own and what it has pushed."""
    stack = below + struct.pack("<QQ", 1, RETURN) + bytes(room) + struct.pack("<QQ", 0x7FFF, BACK) + bytes(64)

    def read(address: int, size: int) -> bytes:
        return {BEGIN: code, BACK - 7: before}.get(address, b"")[:size]

    return frame_pointer(read, STACK, stack, RETURN, BEGIN, once)


@pytest.mark.parametrize(
    ("code", "room"), [(SMALL, 5 * 8 + 0x38), (LARGE, 8 + 0xC8), (EARLY_END, 32), (EARLY_SHORT, 32)]
)
def test_it_lies_above_what_was_pushed_and_the_room_for_variables(code: bytes, room: int) -> None:
    assert found(code, room) == STACK + 16 + room


@pytest.mark.parametrize("code", [NO_ROOM_TOLD, NO_POINTER, b""])
def test_a_function_that_is_set_up_otherwise_says_nothing(code: bytes) -> None:
    assert found(code, 8) is None


def test_a_place_that_no_call_can_return_to_says_nothing() -> None:
    """GIVEN a function that has taken more room later on, THEN what lies where it should return to is no such place."""
    assert found(SMALL, 5 * 8 + 0x38, NO_CALL) is None
    assert found(SMALL, 5 * 8 + 0x38 + 64) is None


def test_an_address_that_an_older_call_may_have_left_in_frames_below_says_nothing() -> None:
    left = struct.pack("<QQ", 1, RETURN)
    assert found(SMALL, 5 * 8 + 0x38, once=True) == STACK + 16 + 5 * 8 + 0x38
    assert found(SMALL, 5 * 8 + 0x38, below=left, once=True) is None
