"""Seven jobs on an H100 (700 W), recorded without readings of the card, and what is said of each with these beside it.

The recordings are those of a release that did not ask the card; use and power are `nvidia-smi`'s of the same moment.
"""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from diagnostics import bundle, pipeline
from diagnostics.analyze.devices import Place, place_of
from diagnostics.model import Collection, Device, DeviceReading, Diagnosis, Sample
from diagnostics.report.document import as_json
from diagnostics.report.html import render_html
from diagnostics.report.markdown import render_markdown
from diagnostics.report.screen import FirstScreen
from diagnostics.report.verdict import device_words
from diagnostics.stacks.position import main_position

JOBS = Path(__file__).parents[1] / "data" / "gpu"
READINGS = {
    "spin": (100, 124.0),
    "occupancy": (100, 138.0),
    "host_function_gil": (0, 123.0),
    "nccl_peer_missing": (0, 122.0),
    "dataloader_worker_blocked": (0, 121.0),
    "healthy": (0, 122.0),
    "slow_kernels": (100, 123.0),
}


def recorded(name: str) -> Collection:
    return bundle.read(JOBS / f"{name}.tar.zst").collection


def beside_its_card(collection: Collection, use: int, power: float) -> Collection:
    readings = tuple(DeviceReading(at, "", use, 0, power, 1980) for at in (1.0, 2.0))
    pids = tuple(process.pid for process in collection.processes)
    card = Device(collection.processes[0].host, 0, "H100", power_limit=700.0, readings=readings, pids=pids)
    return msgspec.structs.replace(collection, devices=(card,))


def half_a_minute_later(collection: Collection, burns: float = 1.0) -> Collection:
    """With one more sample, in which nothing has moved but the clock of the threads that spin."""

    def again(samples: tuple[Sample, ...]) -> tuple[Sample, ...]:
        last = samples[-1]
        threads = tuple(
            msgspec.structs.replace(one, cpu=one.cpu + 30 * burns) if one.state == "R" else one for one in last.threads
        )
        return (*samples, msgspec.structs.replace(last, at=last.at + 30, threads=threads))

    processes = tuple(msgspec.structs.replace(one, samples=again(one.samples)) for one in collection.processes)
    return msgspec.structs.replace(collection, processes=processes)


def told(name: str, later: bool = False) -> tuple[Collection, Diagnosis]:
    collection = beside_its_card(recorded(name), *READINGS[name])
    return pipeline.explain(half_a_minute_later(collection) if later else collection)


@pytest.mark.parametrize("name", ["healthy", "slow_kernels"])
def test_a_job_that_moves_is_not_called_hung(name: str) -> None:
    assert not pipeline.explain(recorded(name))[1].hung
    assert not told(name)[1].hung
    assert pipeline.explain(recorded("healthy"))[1].hung is False
    assert "the host gets on" in device_words(*told("healthy"))


@pytest.mark.parametrize("name", ["spin", "occupancy", "slow_kernels"])
def test_a_second_of_a_kernel_does_not_decide_and_what_would_is_said(name: str) -> None:
    _, diagnosis = pipeline.explain(recorded(name))
    assert diagnosis.hung is None and diagnosis.verdict == "unknown"
    assert any("samples over half a minute" in wanted for wanted in diagnosis.next_evidence)
    assert any("use and power of the card" in wanted for wanted in diagnosis.next_evidence)


@pytest.mark.parametrize(
    ("name", "place", "family"),
    [
        ("spin", Place.ENDLESS, "device-or-driver"),
        ("occupancy", Place.ENDLESS, "device-or-driver"),
        ("host_function_gil", Place.WAITS, "gil-deadlock"),
    ],
)
def test_half_a_minute_in_the_same_wait_is_a_hang_with_its_place(name: str, place: Place, family: str) -> None:
    collection, diagnosis = told(name, later=True)
    (process,) = collection.processes
    found = place_of(process, main_position(process), collection)
    assert found and found.place is place
    assert diagnosis.hung and diagnosis.verdict == family
    assert diagnosis.culprits[0].position and diagnosis.culprits[0].position.function == name


def test_a_host_function_that_needs_the_interpreter_lock_is_told_from_two_samples_alone() -> None:
    _, diagnosis = pipeline.explain(recorded("host_function_gil"))
    assert diagnosis.hung and diagnosis.verdict == "gil-deadlock"
    assert any("the device's driver calls back" in one.fact for one in diagnosis.findings[0].evidence)


def test_a_thread_that_wants_the_lock_beside_a_kernel_that_may_be_long_is_no_deadlock_yet() -> None:
    """Any Python thread in the place of the host function: it gets the lock when the kernel is done."""
    collection = recorded("host_function_gil")
    (process,) = collection.processes
    threads = tuple(
        msgspec.structs.replace(one, frames=tuple(f for f in one.frames if "libcuda" not in f.file))
        if any(frame.function == "PyGILState_Ensure" for frame in one.frames)
        else one
        for one in process.threads
    )
    changed = msgspec.structs.replace(process, threads=threads)
    _, diagnosis = pipeline.explain(msgspec.structs.replace(collection, processes=(changed,)))
    assert diagnosis.hung is None and diagnosis.findings[0].confidence <= 0.5


def test_the_rank_that_has_not_come_is_named_beside_the_card_of_the_one_that_waits() -> None:
    collection, diagnosis = told("nccl_peer_missing", later=True)
    waiting, absent = sorted(collection.processes, key=lambda one: one.pid)
    assert diagnosis.hung and diagnosis.culprits[0].pid == absent.pid
    place = place_of(waiting, main_position(waiting), collection)
    assert place and place.place is Place.PEER and "all_reduce" in place.words
    assert "the host is elsewhere" in device_words(collection, diagnosis)


def test_a_loader_is_an_input_problem_whatever_the_card_says() -> None:
    _, diagnosis = told("dataloader_worker_blocked")
    assert diagnosis.hung and diagnosis.verdict == "dataloader-worker"


def test_every_report_says_what_the_card_tells() -> None:
    collection, diagnosis = told("spin", later=True)
    said = "card 0 at 100 % use, 124 W of 700 W, 1980 MHz"
    document = as_json(collection, diagnosis, None)
    console = Console(width=80, file=io.StringIO(), record=True)
    console.print(FirstScreen(collection, diagnosis))
    assert said in " ".join(console.export_text().split())
    assert said in device_words(collection, diagnosis)
    assert said in render_markdown(collection, diagnosis) and said in render_html(collection, diagnosis)
    assert document["ranks"][0]["device"]["place"] == "endless" and said in document["ranks"][0]["device"]["words"]
    assert document["devices"][0]["readings"][0]["power"] == 124.0
