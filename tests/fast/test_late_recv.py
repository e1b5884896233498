"""A wrong name costs more than none: what looks like the abort race and is not, must not be called so."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from diagnostics.model import (
    Cgroup,
    Collection,
    Connection,
    Diagnosis,
    Event,
    Flight,
    Frame,
    OpenSpan,
    Process,
    Sample,
    Thread,
    ThreadSample,
    Versions,
)
from diagnostics.pipeline import explain

STUCK = ("_PyEval_EvalFrameDefault", "TF_SessionRun", "tensorflow::LocalMaster::RunStep", "pthread_cond_wait")
READS = ("clone", "tensorflow::IteratorGetNextOp::ComputeAsync", "read")
FROZEN = Cgroup(frozen=True)
SERVERS = ("ps:0", "ps:1", "ps:2", "ps:3")


def thread(tid: int, functions: Iterable[str]) -> Thread:
    return Thread(tid, "python", tuple(Frame(name, "libtensorflow.so", native=True) for name in functions))


def looks(letter: str = "S", busy: bool = False, cgroup: Cgroup | None = None) -> tuple[Sample, ...]:
    return tuple(
        Sample(at, (ThreadSample(1, "python", letter, 1.0 + busy * at, 5, 5),), step=7, events=10, cgroup=cgroup)
        for at in (1.0, 2.0)
    )


def recording(in_epoch: int, lengths: tuple[int, ...], silence: float = 6.0) -> Flight:
    """A rank in its step `in_epoch` of an epoch; past epochs had `lengths` batches."""
    events = tuple(Event(100 + at / 100, 0.0, "step_begin", at, 3) for at in range(50))
    spans = (OpenSpan("epoch", 7.0, 40, 3), OpenSpan("step", silence, 49, 3))
    return Flight(
        "", "tf1.12", events, spans, epoch_ends=3, steps=49, count=50, read_at=events[-1].at + silence,
        step_in_epoch=in_epoch, epoch_lengths=lengths,
    )  # fmt: skip


AT_END, IN_THE_MIDDLE, FIRST_EPOCH = recording(9, (9,)), recording(4, (9,)), recording(4, ())


def links(*peers: str, **more: Any) -> tuple[Connection, ...]:
    return tuple(Connection("a:1", f"{peer}:2", "ESTABLISHED", peer, 6.0, 6.0, **more) for peer in peers)


def worker(rank: str = "worker:0", flight: Flight | None = AT_END, release: str = "1.12.0", **more: Any) -> Process:
    given = {
        "threads": (thread(1, STUCK),), "samples": looks(), "connections": links(*SERVERS), "flight": flight,
        "versions": Versions("3.6.15", "tensorflow", release), **more,
    }  # fmt: skip
    return Process(rank, 1, "h", **given)


def server(rank: str, **more: Any) -> Process:
    given = {"threads": (thread(2, ("start_thread", "HandleRPCsLoop")),), "samples": looks(), **more}
    return Process(rank, 2, "h", **given)


def job(*workers: Process, **servers: Process | None) -> Collection:
    """Workers and four idle servers, but those that are given (None: not looked at)."""
    found = [servers.get(rank.replace(":", "_"), server(rank)) for rank in SERVERS]
    return Collection(
        1.0, 2.0, (*workers, *(process for process in found if process)),
        expected=(*SERVERS, *(process.rank for process in workers)),
    )  # fmt: skip


def meaning(collection: Collection) -> Diagnosis:
    return explain(collection)[1]


def named(collection: Collection) -> bool:
    return meaning(collection).verdict == "rendezvous-abort-race"


def test_the_race_is_named() -> None:
    assert named(job(worker()))
    assert meaning(job(worker())).findings[0].confidence > 0.9


def test_from_1_13_on_with_less_confidence_and_in_tensorflow_2_not() -> None:
    early, late = (meaning(job(worker(release=release))).findings[0].confidence for release in ("1.12.3", "1.15.5"))
    assert 0.5 < late < early
    assert not named(job(worker(release="2.11.0")))


@pytest.mark.parametrize("flight", [IN_THE_MIDDLE, FIRST_EPOCH, None])
def test_without_the_end_of_the_input_the_same_stacks_are_unknown(flight: Flight | None) -> None:
    found = meaning(job(worker(flight=flight)))
    assert found.verdict == "unknown" and found.next_evidence


NOT_THE_RACE = {
    "the worker was stopped": job(worker(samples=looks("T"))),
    "the worker was frozen": job(worker(samples=looks(cgroup=FROZEN))),
    "a server was frozen": job(worker(), ps_2=server("ps:2", samples=looks(cgroup=FROZEN))),
    "a server was stopped": job(worker(), ps_2=server("ps:2", samples=looks("T"))),
    "a server is gone": job(worker(), ps_2=server("ps:2", samples=(), threads=())),
    "a server was not looked at": job(worker(), ps_2=None),
    "no server was looked at": Collection(1.0, 2.0, (worker(),)),
    "only one server": Collection(1.0, 2.0, (worker(connections=links("ps:0")), server("ps:0"))),
    "a server works on the step": job(
        worker(), ps_2=server("ps:2", samples=looks("R", busy=True), threads=(thread(3, ("MatMulOp::Compute",)),))
    ),
    "the input stalls": job(worker(threads=(thread(1, STUCK), thread(4, READS)))),
    "what a server sent is not acknowledged": job(
        worker(), ps_2=server("ps:2", connections=links("worker:0", unacked=3, retransmits=7))
    ),
    "what the worker sent is not acknowledged": job(worker(connections=links(*SERVERS, unacked=1))),
    "a server has lost its connection": job(worker(connections=links("ps:0", "ps:1", "ps:3"))),
    "all workers stand, one of them at its end, and a server is gone": job(
        worker(), *(worker(f"worker:{n}", IN_THE_MIDDLE) for n in (1, 2)), ps_2=server("ps:2", samples=())
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", NOT_THE_RACE)
def test_what_happens_to_come_at_the_end_of_an_epoch_is_not_called_the_race(case: str) -> None:
    """GIVEN a rank that stands in the very step in which its input ends, for another reason."""
    assert not named(NOT_THE_RACE[case])


def test_a_worker_at_its_end_that_trains_on_is_no_evidence_against_another() -> None:
    """GIVEN one that hangs in the middle of an epoch, and another that passes its end just now."""
    passing = worker("worker:1", recording(9, (9,), silence=0.001), samples=looks("R", busy=True))
    assert not named(job(worker(flight=IN_THE_MIDDLE), passing))


def test_the_one_worker_of_several_that_hangs_is_named_though_the_servers_serve_the_others() -> None:
    busy: dict[str, Any] = {"samples": looks("R", busy=True)}
    training = worker("worker:1", recording(4, (9,), silence=0.001), threads=(thread(5, READS),), **busy)
    servers = {rank.replace(":", "_"): server(rank, **busy) for rank in SERVERS}
    found = meaning(job(worker(), training, **servers))
    assert found.verdict == "rendezvous-abort-race"
    assert found.findings[0].evidence[0].ranks == ("worker:0",)


def test_a_recent_word_on_one_connection_is_no_silence_on_all() -> None:
    fresh = msgspec.structs.replace(links("ps:3")[0], last_received=0.1)
    findings = meaning(job(worker(connections=(*links("ps:0", "ps:1", "ps:2"), fresh)))).findings
    finding = next(finding for finding in findings if finding.family == "rendezvous-abort-race")
    assert not any("nothing has moved" in item.fact for item in finding.evidence)


def test_a_rank_that_is_gone_is_said_in_the_first_line() -> None:
    dead = server("ps:2", samples=(), exit_status=-9)
    assert meaning(Collection(1.0, 2.0, (server("ps:0"), dead))).summary.startswith("ps:2 is gone")
