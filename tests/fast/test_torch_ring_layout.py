"""The fields of an entry of PyTorch's ring are found by what must be true of them, whatever the padding holds."""

from __future__ import annotations

import ctypes
import os
import struct

import pytest

from diagnostics.collector.memory import torch_ring
from diagnostics.collector.memory.process import Memory
from diagnostics.collector.memory.torch_ring import NO_RING, NO_TIME, layout_of
from diagnostics.collector.sources import collectives

SIZE = 512
NOW = 1_790_000_000 * 10**9


def entries(number: int, stale: int) -> ctypes.Array[ctypes.c_char]:
    """A ring as PyTorch 2.11 and later lay it out on x86-64. `stale`: what the words between the fields hold."""
    ring = ctypes.create_string_buffer(struct.pack("<Q", stale) * (SIZE // 8) * number, SIZE * number)
    for place in range(number):
        at, address = place * SIZE, ctypes.addressof(ring) + place * SIZE

        def put(offset: int, form: str, *values: int | bytes, at: int = at) -> None:
            struct.pack_into("<" + form, ring, at + offset, *values)

        put(0, "3Q", place, 0, 0)
        for offset, text in ((24, b"default_pg"), (56, b"0"), (112, b"gloo:all_reduce"), (472, b"python")):
            put(offset, "QQ16s", address + offset + 16, len(text), text)
        put(88, "3Q", place + 1, 0, place + 1)
        put(144, "4Q", 0, 0, 0, 0)
        put(176, "2Q", NOW + place, 600_000)
        put(192, "?", False)
        put(208, "QB7xQB", 0, 0, 0, 0)
        for offset, counted, room in ((240, 1, 4), (312, 1, 4), (384, 4, 8)):
            put(offset, "QII", address + offset + 16, counted, room)
        put(504, "?", True)
    return ring


@pytest.mark.parametrize("stale", [0, 0x0000_0010_0000_0000, 0x0000_7F55_9423_22F0, 2**64 - 1])
@pytest.mark.parametrize("number", [1, 2, 5])
def test_padding_is_not_taken_for_a_field(number: int, stale: int) -> None:
    """WHEN the words between fields look like counters, addresses or nothing, THEN every field is found all the same.

    A timeout with such a word behind it looks like a vector of its own.
    """
    ring = entries(number, stale)
    with Memory(os.getpid()) as memory:
        layout = layout_of(memory, ctypes.addressof(ring), SIZE, bytes(ring), list(range(number)))
    assert layout is not None
    assert (layout.description, layout.group, layout.numbers, layout.name) == (24, 56, 88, 112)
    assert (layout.created, layout.timeout, layout.p2p, layout.started, layout.completed) == (176, 184, 192, 208, 224)
    assert (layout.input_dims, layout.output_dims, layout.sizes, layout.retired) == (240, 312, 384, 504)


def test_what_is_no_entry_has_no_layout() -> None:
    ring = ctypes.create_string_buffer(SIZE)
    with Memory(os.getpid()) as memory:
        assert layout_of(memory, ctypes.addressof(ring), SIZE, bytes(ring), [0]) is None
        assert layout_of(memory, ctypes.addressof(ring), SIZE, bytes(ring), []) is None


def test_a_fork_is_not_told_to_have_called_what_its_parent_called() -> None:
    """GIVEN a ring of which a part is older than the process, THEN only the rest is its own."""
    called = [
        collectives.Collective("default_pg", number, "barrier", "", "completed", (), False, 1000.0 + number, -1.0)
        for number in range(1, 5)
    ]
    assert [one.seq for one in collectives.own(called, started=1002.5)] == [3, 4]
    assert collectives.own(called, started=1004.0) == []


@pytest.mark.parametrize(("deadline", "why"), [(0.0, NO_TIME), (float("inf"), NO_RING)])
def test_a_search_that_was_broken_off_does_not_say_that_there_is_nothing(
    deadline: float, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_ring, "_search", lambda memory, deadline: ([], {}))
    found = {"collectives": [], "groups": [], "why_not": ""}
    with Memory(os.getpid()) as memory:
        torch_ring._read(memory, found, deadline)
    assert found["why_not"] == why
