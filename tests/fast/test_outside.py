"""Processes at a connection whose standing still says nothing yet: a pace of their own, a peer outside of the job."""

from __future__ import annotations

from typing import Any

import pytest

from diagnostics.model import BlockingCall, Collection, Connection, Frame, Process, Sample, State, Thread, ThreadSample
from diagnostics.pipeline import explain

LINK = "10.0.0.1:4000 -> 10.0.0.9:443"
RECV = (Frame("listen", "client.py", 9), Frame("__libc_recv", "libc.so.6", native=True))
POLL = (Frame("curl_multi_poll", "libcurl.so.4", native=True), Frame("poll", "libc.so.6", native=True))
SLEEP = (Frame("get", "client.py", 9), Frame("clock_nanosleep", "libc.so.6", native=True))
BODY = (*RECV[:1], Frame("_safe_read", "/usr/lib/python3.11/http/client.py", 642), *RECV[1:])


def looks(stood: float, wakes: int, watched: float = 1.0) -> tuple[Sample, ...]:
    return tuple(
        Sample(at, (ThreadSample(7, "x", "S", 1.0, 5 + wakes * int(at), 5, last_ran=0.3 if wakes else stood + at),))
        for at in (0.0, watched)
    )


def link(sent: float, received: float, unread: int = 0) -> tuple[Connection, ...]:
    local, _, remote = LINK.partition(" -> ")
    return (Connection(local, remote, "ESTABLISHED", last_sent=sent, last_received=received, unread=unread),)


def judged(rank: str, frames: tuple[Frame, ...], call: BlockingCall, *others: Process, **more: Any) -> tuple[Any, ...]:
    one = Process(rank, 7, "a", threads=(Thread(7, "x", frames),), blocking_calls=(call,), **more)
    collection, diagnosis = explain(Collection(0.0, 0.0, (one, *others)))
    return collection.processes[0].state, diagnosis.hung


def polls(seconds: float) -> BlockingCall:
    return BlockingCall(7, "poll", "socket", "socket:[9]", others=(7,), limited=True, ends_in=seconds)


@pytest.mark.parametrize(
    ("frames", "call", "unread", "received", "hung"),
    [
        (POLL, polls(1.0), 9000, 8.0, False),
        (SLEEP, BlockingCall(7, "clock_nanosleep", "time", ends_in=30.0), 9000, 8.0, False),
        (POLL, polls(1.0), 0, 8.0, True),
        (POLL, polls(1.0), 9000, 900.0, True),
        (POLL, polls(900.0), 9000, 8.0, True),
    ],
    ids=["its limit of speed", "a sleep between reads", "nothing to read", "for a quarter of an hour", "no pace"],
)
def test_who_leaves_data_unread_until_a_time_of_its_own_paces_itself(
    frames: tuple[Frame, ...], call: BlockingCall, unread: int, received: float, hung: bool
) -> None:
    """GIVEN a downloader that another waits for, THEN it gets on where what it wants has come, and it will look."""
    waits = (Frame("run", "train.py", 7), Frame("wait4", "libc.so.6", native=True))
    child = BlockingCall(6, "wait4", "child", others=(7,))
    parent = Process(
        "pid:6", 6, "a", threads=(Thread(6, "x", waits),), blocking_calls=(child,),
        samples=tuple(Sample(at, (ThreadSample(6, "x", "S", 1.0, 5, 5, last_ran=40.0 + at),)) for at in (0.0, 40.0)),
    )  # fmt: skip
    wakes = 0 if call.kind == "time" else 1
    samples = looks(25.0, wakes, 40.0)
    found = judged("pid:7", frames, call, parent, samples=samples, connections=link(40.0, received, unread), parent=6)
    assert (found[0] is not State.PROGRESSING, found[1]) == (hung, hung)


@pytest.mark.parametrize(
    ("frames", "sent", "received", "stood", "hung"),
    [
        (RECV, 90.0, 40.0, 40.0, None),
        (RECV, 900.0, 400.0, 400.0, True),
        (RECV, 40.0, 90.0, 40.0, None),
        (RECV, 90.0, 300.0, 90.0, True),
        (BODY, 300.0, 90.0, 90.0, True),
    ],
    ids=["a chat", "a chat of old", "a long poll", "no answer for long", "the rest of an answer for long"],
)
def test_who_alone_waits_for_a_peer_outside_of_the_job_is_not_called_hung_at_once(
    frames: tuple[Frame, ...], sent: float, received: float, stood: float, hung: bool | None
) -> None:
    call = BlockingCall(7, "recvfrom", "socket", LINK)
    assert judged("pid:7", frames, call, samples=looks(stood, 0), connections=link(sent, received))[1] is hung


def test_a_rank_of_a_job_that_waits_for_an_outside_answer_hangs_as_before() -> None:
    call = BlockingCall(7, "recvfrom", "socket", LINK)
    assert judged("worker:1", RECV, call, samples=looks(40.0, 0), connections=link(40.0, 90.0))[1] is True
