"""Hung, slow, idle, gone: judged from a rank's own history and two samples."""

from __future__ import annotations

import random

import msgspec
import pytest

from diagnostics.analyze.judge import judge as judge_one
from diagnostics.analyze.progress import Limits, is_overdue, overdue_in, silence_allowed
from diagnostics.model import (
    BlockingCall,
    Collection,
    Event,
    Flight,
    Frame,
    OpenSpan,
    Process,
    Sample,
    State,
    Thread,
    ThreadSample,
)
from diagnostics.pipeline import explain
from diagnostics.transport.answers import Answer, with_stacks
from diagnostics.transport.lines import LaterThere


def judge(process: Process) -> tuple[State, str]:
    """State and why, without since when."""
    return judge_one(process)[:2]



def flight(gaps: list[float], silence: float, *, inside: str = "step") -> Flight:
    """A recorder whose events lie `gaps` apart, read `silence` after the last."""
    times = [100.0]
    for gap in gaps:
        times.append(times[-1] + gap)
    events = tuple(Event(at, at, "step_begin", index, 0) for index, at in enumerate(times))
    open_ = (OpenSpan(inside, silence, len(times), 0),)
    return Flight(
        "worker:0", "tf1.12", events, open_, epoch_ends=3, steps=len(times), count=len(times),
        read_at=times[-1] + silence,
    )  # fmt: skip


def look(
    at: float, cpu: float = 1.0, moved: int = 0, events: int = 10, state: str = "S", woken: int = 5, stored: int = -1
) -> Sample:
    thread = ThreadSample(1, "python", state, cpu, woken, 5)
    return Sample(at, (thread,), moved, step=1, events=events, disk_bytes=stored)


def process(recording: Flight | None, *samples: Sample, rank: str = "worker:0", **more: object) -> Process:
    return Process(rank, 1, "h", flight=recording, samples=samples, **more)  # type: ignore[arg-type]


STILL = (look(1.0), look(2.0))


def test_a_long_silence_without_movement_is_a_hang() -> None:
    state, why = judge(process(flight([0.005] * 100, 6.0), *STILL))
    assert state is State.HUNG and "6.0 s" in why


def test_the_same_silence_with_movement_is_slow() -> None:
    for second in (look(2.0, cpu=1.5), look(2.0, moved=100_000)):
        assert judge(process(flight([0.005] * 100, 6.0), look(1.0), second))[0] is State.SLOW


def test_who_writes_a_checkpoint_moves() -> None:
    """GIVEN bytes that go to the disk, or an fsync that is answered piece by piece, THEN a long silence is no hang."""
    silent = flight([0.005] * 100, 6.0)
    assert judge(process(silent, look(1.0, stored=0), look(2.0, stored=1 << 20)))[0] is State.SLOW
    assert judge(process(silent, look(1.0, state="D"), look(2.0, state="D", woken=9)))[0] is State.SLOW
    assert judge(process(silent, look(1.0, state="D"), look(2.0, state="D")))[0] is State.HUNG
    assert judge(process(silent, look(1.0, stored=0), look(2.0, stored=4096)))[0] is State.HUNG, "a line of its log"


def test_busy_for_ever_is_a_hang_too() -> None:
    """GIVEN a rank that burns CPU in one step for far longer than any before, THEN it is a livelock."""
    assert judge(process(flight([0.005] * 100, 200.0), look(1.0), look(2.0, cpu=2.0)))[0] is State.HUNG


def test_a_new_event_between_the_looks_is_progress() -> None:
    found, _ = judge(process(flight([0.005] * 100, 0.1), look(1.0), look(2.0, events=11)))
    assert found is State.PROGRESSING


@pytest.mark.parametrize("seed", range(20))
def test_steps_that_vary_twentyfold_are_never_overdue_within_their_own_range(seed: int) -> None:
    """GIVEN each step 20 times slower at random, THEN no wait that the history holds is called overdue."""
    dice = random.Random(seed)
    gaps = [dice.choice([0.3, 0.3, 0.3, 6.0]) for _ in range(300)]
    assert not is_overdue(flight(gaps, 2 * max(gaps)), Limits())


def test_the_first_step_may_take_long() -> None:
    """GIVEN too little history to know what is normal (graph building, compiling), THEN patience."""
    assert not is_overdue(flight([0.01] * 3, 30.0), Limits())
    assert is_overdue(flight([0.01] * 3, 90.0), Limits())


def test_it_is_known_beforehand_when_a_silence_will_be_too_long() -> None:
    """GIVEN a rank that is silent, THEN the first of two samples can be taken before the second has to decide."""
    assert overdue_in(flight([0.01] * 100, 3.0), Limits(floor=4.0)) == pytest.approx(1.0)
    assert overdue_in(flight([0.01] * 100, 6.0), Limits(floor=4.0)) == pytest.approx(-2.0)
    assert overdue_in(ending("close", 600.0), Limits()) == float("inf")


def test_one_slow_first_step_does_not_delay_noticing() -> None:
    assert silence_allowed([20.0] + [0.005] * 50, Limits()) == Limits().floor


def test_a_save_or_an_evaluation_may_take_longer() -> None:
    assert not is_overdue(flight([0.005] * 100, 60.0, inside="phase"), Limits())
    assert is_overdue(flight([0.005] * 100, 200.0, inside="save"), Limits())


def test_an_idle_server_is_idle_not_hung() -> None:
    assert judge(process(None, *STILL, rank="ps:3"))[0] is State.IDLE
    assert judge(process(None, look(1.0), look(2.0, moved=10_000), rank="ps:3"))[0] is State.PROGRESSING


def test_without_a_recorder_stillness_alone_decides_nothing() -> None:
    assert judge(process(None, *STILL))[0] is State.UNKNOWN


@pytest.mark.parametrize(("status", "words"), [(-9, "signal 9"), (1, "status 1")])
def test_a_rank_that_ended_is_dead_with_how(status: int, words: str) -> None:
    state, why = judge(process(None, exit_status=status))
    assert state is State.DEAD and words in why


def test_a_stopped_process_is_said_to_be_stopped() -> None:
    state, why = judge(process(None, look(1.0, state="T"), look(2.0, state="T")))
    assert state is State.HUNG and "stopped" in why


def ending(kind: str, silence: float, value: int = -1) -> Flight:
    recording = flight([0.005] * 100, silence)
    last = recording.events[-1]
    events = (*recording.events[:-1], Event(last.at, last.wall, kind, 100, 0, value))
    return msgspec.structs.replace(recording, events=events, open=())


@pytest.mark.parametrize(("status", "state"), [(0, State.FINISHED), (1, State.DEAD), (-11, State.DEAD)])
def test_a_crash_is_no_finish_though_the_interpreter_said_that_it_ends(status: int, state: State) -> None:
    """An uncaught exception, too, ends the interpreter in order: its recorder hears of the exit."""
    assert judge(process(ending("exit", 1.0), exit_status=status))[0] is state


def test_a_rank_that_said_it_was_done_has_finished_though_it_stays() -> None:
    recording = ending("exit", 300.0, value=0)
    assert judge(process(recording, *STILL))[0] is State.FINISHED
    assert not is_overdue(recording, Limits())


def test_a_process_that_began_to_end_and_stands_still_hangs_in_its_teardown() -> None:
    state, why = judge(process(ending("exit", 300.0), *STILL))
    assert state is State.HUNG and "began to end" in why
    assert judge(process(ending("exit", 5.0), *STILL))[0] is State.PROGRESSING
    assert judge(process(ending("exit", 300.0), look(1.0), look(2.0, cpu=1.9)))[0] is State.PROGRESSING
    assert judge(process(ending("exit", 300.0)))[0] is State.FINISHED


def test_silence_after_the_recorder_was_closed_says_nothing() -> None:
    """GIVEN a job that stopped recording on purpose and goes on, THEN its silence is no hang."""
    recording = ending("close", 3600.0)
    assert judge(process(recording, *STILL))[0] is State.UNKNOWN
    assert not is_overdue(recording, Limits())


def test_a_long_start_says_nothing_about_steps() -> None:
    """GIVEN many quick events while variables are initialized, THEN the first step may still take long."""
    recording = msgspec.structs.replace(flight([0.01] * 100, 30.0), steps=0)
    assert not is_overdue(recording, Limits())


def test_who_goes_on_while_its_stacks_are_taken_does_not_hang() -> None:
    """GIVEN a rank that was silent through both samples, WHEN it goes on before the last stack, THEN that is seen."""
    silent = process(flight([0.01] * 30, 30.0), look(0.0), look(1.0))
    assert silent.flight
    newer = msgspec.structs.replace(silent.flight, count=silent.flight.count + 1)
    assert with_stacks(silent, Answer(later={silent.pid: LaterThere(silent.pid, newer)})).flight == newer
    assert with_stacks(silent, Answer(later={silent.pid: LaterThere(silent.pid, silent.flight)})) == silent


def test_a_process_whose_stacks_were_read_is_not_gone_only_because_no_sample_was_taken() -> None:
    stacks = (Thread(1, "python", (Frame("fit", "train.py", 3),)),)
    assert judge(Process("worker:0", 1, "a", threads=stacks))[0] is State.UNKNOWN
    assert judge(Process("worker:0", 1, "a", threads=stacks, running_after=False))[0] is State.DEAD
    gone = (look(1.0), Sample(2.0, ()))
    assert judge(Process("worker:0", 1, "a", threads=stacks, samples=gone))[0] is State.DEAD
    assert judge(Process("worker:0", 1, "a"))[0] is State.DEAD


def test_a_job_that_ends_while_it_is_looked_at_does_not_hang() -> None:
    """Its processes were there at the first sample, and are no more at the second; nobody is left who waits."""
    samples = (look(1.0), Sample(2.0, ()))
    stacks = (Thread(1, "python", (Frame("fit", "train.py", 3),)),)
    parent = Process("pid:1", 1, "a", threads=stacks, samples=samples)
    child = Process("child/pid:1/2", 2, "a", threads=stacks, samples=samples, parent=1)
    _, diagnosis = explain(Collection(0.0, 0.0, (parent, child)))
    assert (diagnosis.hung, diagnosis.verdict) == (False, "none")
    waits = msgspec.structs.replace(parent, rank="worker:1", pid=3, samples=(look(1.0), look(2.0)))
    assert explain(Collection(0.0, 0.0, (parent, child, waits)))[1].hung, "somebody is left"


def test_who_still_goes_on_beside_ranks_that_ended_is_not_called_hung() -> None:
    """It may be about to end as well. One that stands still is held up by those that are gone."""
    gone = Process("worker:1", 2, "a", samples=(look(1.0), Sample(2.0, ())))
    ends = Process("worker:0", 1, "a", samples=(look(1.0), look(2.0, cpu=1.5, state="Z")))
    goes_on = Process("worker:0", 1, "a", samples=(look(1.0), look(2.0, cpu=1.5, state="R")))
    assert explain(Collection(0.0, 0.0, (gone, ends)))[1].hung is False
    assert explain(Collection(0.0, 0.0, (gone, goes_on)))[1].hung is None
    stands = Process("worker:0", 1, "a", samples=STILL)
    assert explain(Collection(0.0, 0.0, (gone, stands)))[1].hung


@pytest.mark.parametrize(
    ("command", "frames", "waits"),
    [
        ("timeout", (Frame("rt_sigsuspend", "libc.so.6", native=True),), "signal"),
        ("guard", (Frame("sigtimedwait", "libc.so.6", native=True),), "signal"),
        ("sudo", (Frame("ppoll", "libc.so.6", native=True),), "several"),
        ("trainer-in-c", (Frame("wait4", "libc.so.6", native=True),), "child"),
    ],
)
def test_a_program_that_runs_another_has_no_word_in_whether_the_job_hangs(
    command: str, frames: tuple[Frame, ...], waits: str
) -> None:
    """GIVEN one that waits for the end of what it started, THEN only that counts."""
    wrapper = Process(
        "pid:1", 1, "a", threads=(Thread(1, command, frames),), samples=STILL,
        command=(f"/usr/bin/{command}", "python"), blocking_calls=(BlockingCall(1, "rt_sigsuspend", waits, ""),),
    )  # fmt: skip
    work = (Thread(2, "python", (Frame("fit", "train.py", 3),)),)
    child = Process("child/pid:1/2", 2, "a", threads=work, samples=(look(1.0), look(2.0, cpu=1.9)), parent=1)
    _, diagnosis = explain(Collection(0.0, 0.0, (wrapper, child)))
    assert (diagnosis.hung, diagnosis.verdict) == (False, "none"), diagnosis.summary
