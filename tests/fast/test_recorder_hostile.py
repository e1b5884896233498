"""What a recording that is damaged, forged or no recording cannot make its reader do."""

import os
import pathlib
import struct
import zlib

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from diagnostics.recorder import Recorder, RecordingError, decode, last_batch, layout, open_spans, read, steps

HERE = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def whole(tmp_path: pathlib.Path) -> bytes:
    path = tmp_path / "worker.lbrec"
    rec = Recorder(str(path), "worker:0", "tf1.12.0", capacity=16, expected=["chief:0", "worker:0"])
    rec.error("Some: error")
    for _ in rec.batches([[1, 2]] * 9, epoch=0):
        pass
    rec.barrier_begin("end")
    return path.read_bytes()


def test_a_file_cut_short_at_any_length_is_refused(whole: bytes) -> None:
    for length in [*range(0, len(whole), 97), *range(5000), len(whole) - 1]:
        with pytest.raises(RecordingError):
            decode(whole[:length])
    with pytest.raises(RecordingError, match="too long"):
        decode(whole + b"\0")


def test_any_flipped_bit_is_noticed_and_costs_no_more_than_its_own_entry(whole: bytes) -> None:
    good = decode(whole)
    offsets = layout.Offsets(layout.HEADER_UNIT, 16)
    positions = [*range(0, 400), *range(offsets.error, len(whole), 3)]
    for at in positions:
        data = bytearray(whole)
        data[at] ^= 1 << at % 8
        if at < offsets.error:
            with pytest.raises(RecordingError):
                decode(bytes(data))
            continue
        bad = decode(bytes(data))
        if at >= offsets.ring:
            assert bad.torn == 1 and bad.damaged == 0
            assert set(bad.events) < set(good.events) and len(bad.events) == len(good.events) - 1
        elif not (offsets.labels <= at < offsets.labels + layout.LABEL_BYTES):  # Label 0 is not used.
            assert bad.damaged == 1 and bad.torn == 0
            assert len(bad.events) == len(good.events)


def header_with(whole: bytes, **changed: int) -> bytes:
    places = {"version": 8, "header_bytes": 16, "world": 20, "capacity": 24}
    data = bytearray(whole)
    for name, value in changed.items():
        struct.pack_into("<I", data, places[name], value)
    struct.pack_into("<I", data, 12, zlib.crc32(bytes(data[16 : layout.HEADER_UNIT])))
    return bytes(data)


@pytest.mark.parametrize(
    "changed, said",
    [
        ({"version": 2}, "version 2"),
        ({"capacity": 0}, "capacity"),
        ({"capacity": 15}, "too long"),
        ({"capacity": 17}, "cut short"),
        ({"capacity": 0xFFFFFFFF}, "capacity"),
        ({"header_bytes": 0xFFFFFFFF}, "sizes"),
        ({"header_bytes": 8192}, "sizes"),
        ({"world": 0xFFFFFFFF}, "sizes"),
    ],
)
def test_sizes_that_lie_are_refused(whole: bytes, changed: dict[str, int], said: str) -> None:
    with pytest.raises(RecordingError, match=said):
        decode(header_with(whole, **changed))


def test_a_record_in_the_wrong_slot_is_not_believed(whole: bytes) -> None:
    ring = layout.Offsets(layout.HEADER_UNIT, 16).ring
    data = bytearray(whole)
    data[ring : ring + 64], data[ring + 64 : ring + 128] = (
        data[ring + 64 : ring + 128],
        data[ring : ring + 64],
    )
    assert decode(bytes(data)).torn == 2


@HERE
@given(st.binary(max_size=20000))
@example(b"")
@example(layout.MAGIC)
def test_any_bytes_give_a_recording_or_a_recording_error(data: bytes) -> None:
    try:
        decode(data)
    except RecordingError as error:
        assert str(error)


@HERE
@given(patches=st.lists(st.tuples(st.integers(0, 1 << 16), st.binary(min_size=1, max_size=80)), max_size=20))
def test_a_recording_with_anything_written_over_it_never_raises_anything_else(
    whole: bytes, patches: list[tuple[int, bytes]]
) -> None:
    data = bytearray(whole)
    for at, patch in patches:
        at = layout.HEADER_UNIT + at % (len(whole) - layout.HEADER_UNIT - len(patch))
        data[at : at + len(patch)] = patch
    recording = decode(bytes(data))
    open_spans(recording)
    last_batch(recording)
    steps(recording)


record = st.tuples(
    st.integers(0, (1 << 64) - 1),
    st.floats(),
    st.floats(),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.integers(0, 3),
    st.integers(-(1 << 31), (1 << 31) - 1),
    st.integers(0, (1 << 32) - 1),
    st.integers(0, (1 << 32) - 1),
    st.builds(lambda kind, rest: kind | rest << 8, st.integers(0, 20), st.integers(0, (1 << 24) - 1)),
)


@HERE
@given(records=st.lists(st.tuples(st.integers(0, 32 + 64 + 15), record), max_size=60))
def test_forged_records_with_sound_checksums_never_break_the_reader(
    whole: bytes, records: list[tuple[int, tuple[int, ...]]]
) -> None:
    data = bytearray(whole)
    latest = layout.Offsets(layout.HEADER_UNIT, 16).latest
    for slot, fields in records:
        if slot >= 96:  # Into the ring, where its number belongs.
            fields = (fields[0] // 16 * 16 + slot % 16, *fields[1:])
        body = layout.RECORD_BODY.pack(*fields)
        layout.RECORD.pack_into(data, latest + slot * 64, body, zlib.crc32(body))
    recording = decode(bytes(data))
    open_spans(recording)
    last_batch(recording)
    steps(recording)


def test_a_fifo_or_a_device_is_refused_without_waiting(tmp_path: pathlib.Path) -> None:
    fifo = str(tmp_path / "fifo")
    os.mkfifo(fifo)
    for path in (fifo, "/dev/zero"):
        with pytest.raises(RecordingError, match="regular"):
            read(path)
