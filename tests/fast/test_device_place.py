"""Where a job on a GPU stands, by the figures that were recorded on an H100 (700 W)."""

from __future__ import annotations

import msgspec
import pytest

from diagnostics.analyze.devices import Place, place_of
from diagnostics.model import Collection, Device, DeviceReading, KernelLine, Position, Process, Role

SYNC = Position(operation="cudaStreamSynchronize", roles=(Role.DEVICE,))
COLLECTIVE = Position(operation="all_reduce", roles=(Role.COLLECTIVE,))
ELSEWHERE = Position(operation="time.sleep")
RANK = Process("worker:0", 7, "node")


def job(*readings: DeviceReading, lines: tuple[str, ...] = (), pids: tuple[int, ...] = (7,)) -> Collection:
    card = Device("node", 0, "H100", power_limit=700.0, readings=readings, pids=pids)
    return Collection(0.0, 1.0, (RANK,), devices=(card,), kernel_log=tuple(KernelLine("node", text) for text in lines))


def at(use: int, power: float, *slowed: str, lost: str = "", uncorrected: int = 0) -> DeviceReading:
    return DeviceReading(1.0, lost, use, 0, power, 1980, slowed=slowed, uncorrected=uncorrected)


@pytest.mark.parametrize(
    ("position", "readings", "place"),
    [
        (SYNC, (at(100, 124), at(100, 124)), Place.ENDLESS),  # spin
        (SYNC, (at(100, 138), at(100, 138)), Place.ENDLESS),  # occupancy
        (SYNC, (at(0, 123), at(0, 123)), Place.WAITS),  # host_function_gil
        (COLLECTIVE, (at(0, 122), at(0, 122)), Place.PEER),  # nccl_peer_missing, rank 0
        (ELSEWHERE, (at(0, 121), at(0, 121)), Place.IDLE),  # its rank 1; a loader's consumer
        (SYNC, (at(100, 520), at(98, 610)), Place.WORKS),  # matrix products
        (SYNC, (at(40, 200), at(0, 122)), Place.WORKS),  # short steps
        (SYNC, (at(99, 300, "thermal (hardware)"),) * 2, Place.SLOW),
        (SYNC, (at(100, 124), at(-1, -1, lost="it has fallen off the bus")), Place.GONE),
        (SYNC, (at(100, 400), at(100, 400, uncorrected=1)), Place.GONE),
        (SYNC, (at(-1, -1), at(-1, -1)), Place.UNKNOWN),  # divided into instances: no use is told
    ],
)
def test_the_place_of_a_job_on_a_card(position: Position, readings: tuple[DeviceReading, ...], place: Place) -> None:
    found = place_of(RANK, position, job(*readings))
    assert found and found.place is place


def test_the_line_says_the_readings() -> None:
    found = place_of(RANK, SYNC, job(at(100, 124), at(100, 124)))
    assert found and "card 0 at 100 % use, 124 W of 700 W, 1980 MHz" in found.words


def test_an_xid_of_this_process_in_the_kernels_log_says_that_the_card_is_gone() -> None:
    line = "[31.5] NVRM: Xid (PCI:0000:3b:00): 79, pid={}, name=python3, GPU has fallen off the bus."
    assert (found := place_of(RANK, SYNC, job(at(0, 70), lines=(line.format(7),)))) and found.place is Place.GONE
    assert (found := place_of(RANK, SYNC, job(at(0, 70), lines=(line.format(8),)))) and found.place is Place.WAITS


def test_a_rank_without_a_card_has_no_place() -> None:
    assert place_of(RANK, ELSEWHERE, job(at(0, 70), pids=(8,))) is None
    found = place_of(RANK, SYNC, job(at(0, 70), pids=(8,)))
    assert found and found.place is Place.UNKNOWN


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("[900.1] NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', GPU has fallen off.", Place.GONE),
        ("[900.1] NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.", Place.GONE),
        ("[100.1] NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.", Place.WAITS),  # before the job began
        ("[900.1] NVRM: Xid (PCI:0000:5e:00): 79, GPU has fallen off the bus.", Place.WAITS),  # another card
        ("[900.1] NVRM: Xid (PCI:0000:3b:00): 31, pid=8, Ch 00000010", Place.WAITS),  # another process alone
    ],
)
def test_an_xid_of_the_whole_card_counts_from_the_jobs_start_on(line: str, place: Place) -> None:
    readings = tuple(msgspec.structs.replace(at(0, 70), at=moment) for moment in (1000.0, 1001.0))
    collection = job(*readings, lines=(line,))
    card = msgspec.structs.replace(collection.devices[0], bus="0000:3b:00")
    rank = msgspec.structs.replace(RANK, age=300.0)
    found = place_of(rank, SYNC, msgspec.structs.replace(collection, devices=(card,)))
    assert found and found.place is place
