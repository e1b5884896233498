"""What was done to a job, told from evidence: each cause from what is specific to it, and not from its look-alikes."""

from __future__ import annotations

import msgspec
import pytest

from diagnostics.analyze.facts import Facts
from diagnostics.analyze.job import judge_all
from diagnostics.causes.network_partition import broken
from diagnostics.model import (
    Cgroup,
    Collection,
    Connection,
    Diagnosis,
    Event,
    Flight,
    Frame,
    Memory,
    OpenSpan,
    Process,
    Sample,
    State,
    Thread,
    ThreadSample,
)  # fmt: skip
from diagnostics.pipeline import explain

WORKER, SERVER = "198.18.1.10:40000", "198.18.1.11:2222"


def look(at: float, *, state: str = "S", wchan: str = "", group: Cgroup | None = None) -> Sample:
    return Sample(at, (ThreadSample(7, "python", state, 1.0, 5, 5, wchan, 0),), 0, cgroup=group)


def stuck_flight(step: float = 0.005, recent: float = 0.005, silence: float = 30.0) -> Flight:
    """A rank that made steps, the last ten of them as long as `recent`, and is silent in one since then."""
    events, at = [], 100.0
    for number in range(60):
        took = step if number < 50 else recent
        events += [Event(at, at, "step_begin", number, 0), Event(at + took, at, "step_end", number, 0)]
        at += took
    return Flight(
        "worker:0", "tf1.12", tuple(events), (OpenSpan("step", silence, 60, 0),), epoch_ends=3, steps=60, count=120,
        read_at=at + silence, typical_step=step,
    )  # fmt: skip


def worker(*links: Connection, flight: Flight | None = None, **more: object) -> Process:
    return msgspec.structs.replace(
        Process("worker:0", 1, "h", samples=(look(1), look(2)), connections=links, flight=flight or stuck_flight()),
        **more,
    )


def server(*links: Connection, rank: str = "ps:0", **more: object) -> Process:
    process = Process(rank, 2, "h", samples=(look(1), look(2)), connections=links, listens=(SERVER,))
    return msgspec.structs.replace(process, **more)


def verdict(*processes: Process, expected: tuple[str, ...] = ()) -> Diagnosis:
    return explain(Collection(0.0, 1.0, processes, expected=expected))[1]


def link(local: str, remote: str, peer: str, **more: object) -> Connection:
    return msgspec.structs.replace(Connection(local, remote, "ESTABLISHED", peer, 5.0, 5.0, 1000, 1000), **more)


# --- partition: the three cases of a pair in which one side waits for an acknowledgement


def directions(there: Connection, back: Connection) -> set[tuple[str, str]]:
    collection = judge_all(Collection(0.0, 1.0, (worker(there), server(back))))
    return {(one.sender, one.receiver) for one in broken(Facts(collection))}


def test_data_that_never_arrived_breaks_the_way_there() -> None:
    there = link(WORKER, SERVER, "ps:0", bytes_acked=901, unacked=2, backoff=5)
    back = link(SERVER, WORKER, "worker:0", bytes_received=900)
    assert directions(there, back) == {("worker:0", "ps:0")}


def test_data_that_arrived_and_was_not_acknowledged_breaks_the_way_back() -> None:
    there = link(WORKER, SERVER, "ps:0", bytes_acked=901, unacked=2, backoff=5)
    back = link(SERVER, WORKER, "worker:0", bytes_received=1000)
    assert directions(there, back) == {("ps:0", "worker:0")}


def test_a_few_segments_sent_again_are_loss_and_no_partition() -> None:
    there = link(WORKER, SERVER, "ps:0", bytes_acked=900, unacked=2, backoff=1, retransmits=30)
    assert directions(there, link(SERVER, WORKER, "worker:0")) == set()


@pytest.mark.parametrize("there", [True, False])
def test_who_waits_for_data_that_the_network_still_holds_is_slow_and_not_stuck(there: bool) -> None:
    held = {"unacked": 2, "backoff": 3}
    to = link(WORKER, SERVER, "ps:0", **(held if there else {}))
    back = link(SERVER, WORKER, "worker:0", **({} if there else held))
    found = verdict(worker(to), server(back))
    assert found.verdict == "slow"
    assert "is on its way, sent again 3 times" in found.findings[0].evidence[0].fact


@pytest.mark.parametrize(("unread", "said"), [(0, "slow"), (6000, "unknown")])
def test_data_that_waits_to_be_sent_is_slow_unless_the_other_process_does_not_read(unread: int, said: str) -> None:
    back = link(SERVER, WORKER, "worker:0", unsent=188)
    assert verdict(worker(link(WORKER, SERVER, "ps:0", unread=unread)), server(back)).verdict == said


def test_a_partition_is_named_with_its_pair_and_direction() -> None:
    there = link(WORKER, SERVER, "ps:0", bytes_acked=901, unacked=2, backoff=5)
    found = verdict(worker(there), server(link(SERVER, WORKER, "worker:0", bytes_received=900)))
    assert found.verdict == "network-partition"
    assert "from worker:0 to ps:0 are lost" in found.findings[0].evidence[0].fact


def test_unacknowledged_data_to_a_rank_that_died_is_its_death() -> None:
    there = link(WORKER, SERVER, "ps:0", bytes_acked=901, unacked=2, backoff=5)
    gone = server(samples=(), exit_status=-9, exit_order=0)
    assert verdict(worker(there), gone).verdict == "peer-dead"


# --- how a rank died


@pytest.mark.parametrize(("status", "said"), [(-9, "SIGKILL"), (-11, "SIGSEGV"), (3, "status 3")])
def test_a_dead_peer_is_named_with_how_it_died(status: int, said: str) -> None:
    found = verdict(worker(), server(samples=(), exit_status=status, exit_order=0))
    assert found.verdict == "peer-dead"
    assert said in found.findings[0].evidence[0].fact
    assert found.findings[0].evidence[0].ranks == ("ps:0",)


def test_the_first_to_end_is_blamed_not_who_lost_it() -> None:
    follower = worker(samples=(), exit_status=1, exit_order=1)
    found = verdict(follower, server(samples=(), exit_status=-9, exit_order=0))
    assert found.findings[0].evidence[0].ranks == ("ps:0",)


def test_a_rank_that_the_others_do_without_holds_nobody() -> None:
    moving = look(2, state="R")
    moving = msgspec.structs.replace(moving, threads=(msgspec.structs.replace(moving.threads[0], cpu=2.0),))
    others = [worker(rank=rank, samples=(look(1), moving)) for rank in ("worker:0", "worker:1")]
    others = [msgspec.structs.replace(one, flight=None) for one in others]
    assert verdict(*others, server(samples=(), rank="pid:5")).verdict == "none"
    found = verdict(*others, server(samples=(), rank="worker:2"))
    assert not [one for one in found.findings if one.confidence >= 0.5]


def test_a_child_that_has_ended_is_no_dead_rank() -> None:
    moving = look(2, state="R")
    moving = msgspec.structs.replace(moving, threads=(msgspec.structs.replace(moving.threads[0], cpu=2.0),))
    trainer = msgspec.structs.replace(worker(samples=(look(1), moving)), flight=None)
    loader = server(rank="child/worker:0/7", samples=(look(1), look(2, state="Z")))
    assert verdict(trainer, loader).verdict == "none"


def test_the_same_signal_at_the_memory_limit_is_out_of_memory() -> None:
    memory = Memory(limit=600_000_000, seen=598_000_000, predicted=580_000_000)
    found = verdict(worker(), server(samples=(), exit_status=-9, exit_order=0, out_of_memory=True, memory=memory))
    assert found.verdict == "out-of-memory"
    facts = [sight.fact for sight in found.findings[0].evidence]
    assert "580 MB predicted, 600 MB limit, 598 MB last seen" in facts


# --- frozen, throttled, slow


def test_a_frozen_server_is_named_and_not_its_waiting_worker() -> None:
    ice = Cgroup(frozen=True)
    still = server(samples=(look(1, state="D", group=ice), look(2, state="D", group=ice)))
    found = verdict(worker(), still)
    assert found.verdict == "frozen" and found.findings[0].evidence[0].ranks == ("ps:0",)


def test_a_stopped_process_is_frozen() -> None:
    assert verdict(worker(), server(samples=(look(1, state="T"), look(2, state="T")))).verdict == "frozen"


def quota(periods: int, throttled: int) -> Cgroup:
    return Cgroup(cpus=0.05, periods=periods, throttled=throttled)


def test_who_waits_for_a_throttled_rank_is_slow_and_never_hung() -> None:
    held = server(samples=(look(1, group=quota(100, 50)), look(2, group=quota(110, 60))))
    waiting = worker(link(WORKER, SERVER, "ps:0"))
    collection, found = explain(Collection(0.0, 1.0, (waiting, held)))
    assert found.verdict == "throttled"
    assert all(process.state is not State.HUNG for process in collection.processes)


@pytest.mark.parametrize("meanwhile", [quota(102, 90), quota(106, 91)])
@pytest.mark.parametrize(("silence", "said"), [(10.0, "throttled"), (30.0, "unknown")])
def test_after_its_quota_held_a_rank_up_it_may_sleep_for_a_while(silence: float, said: str, meanwhile: Cgroup) -> None:
    held = server(samples=(look(1, group=quota(100, 90)), look(2, group=meanwhile)))
    waiting = worker(link(WORKER, SERVER, "ps:0"), flight=stuck_flight(silence=silence))
    assert verdict(waiting, held).verdict == said


@pytest.mark.parametrize(("silence", "state"), [(30.0, State.SLOW), (90.0, State.HUNG)])
def test_who_waits_for_a_sleeping_autotuner_is_slow_for_a_minute_and_then_hung(silence: float, state: State) -> None:
    ending = Thread(7, "python", (Frame("tensorflow::data::RootDataset::Iterator::~Iterator", "", native=True),))
    tuner = Thread(8, "tf_Compute", (Frame("tensorflow::data::model::Model::OptimizeLoop", "", native=True),))
    waiting = worker(threads=(ending, tuner), flight=stuck_flight(silence=silence))
    collection, found = explain(Collection(0.0, 1.0, (waiting, server())))
    assert collection.processes[0].state is state
    assert found.verdict == ("slow" if state is State.SLOW else "unknown")


@pytest.mark.parametrize(
    ("file", "places", "said"),
    [("pool.py", ("Pool._handle_tasks", "Pool._handle_results"), "unknown"), ("app.py", ("one", "two"), "lock-order")],
)
def test_idle_threads_of_a_pool_hold_no_locks(file: str, places: tuple[str, ...], said: str) -> None:
    waits = Frame("PyThread_acquire_lock_timed", "python", native=True)
    threads = tuple(Thread(7 + n, "python", (Frame(at, file, 5), waits)) for n, at in enumerate(places))
    assert verdict(worker(threads=threads)).verdict == said


def test_a_quota_that_is_hardly_felt_is_no_cause() -> None:
    held = server(samples=(look(1, group=quota(100, 50)), look(2, group=quota(110, 51))))
    assert verdict(worker(flight=stuck_flight(silence=0.1)), held).verdict == "none"


def test_steps_that_became_much_longer_are_slow() -> None:
    collection, found = explain(Collection(0.0, 1.0, (worker(flight=stuck_flight(recent=0.2, silence=0.1)), server())))
    assert found.verdict == "slow" and collection.processes[0].state is State.SLOW


def test_steps_as_long_as_ever_are_healthy() -> None:
    assert verdict(worker(flight=stuck_flight(silence=0.1)), server()).verdict == "none"


# --- startup, file system


def starting(*log: str) -> Process:
    flight = Flight(
        "worker:0", "tf1.12", (Event(100.0, 0.0, "phase_begin", -1, -1),),
        (OpenSpan("phase", 300.0, -1, -1, "connect"),), epoch_ends=0, steps=0, count=1, read_at=400.0,
    )  # fmt: skip
    return worker(flight=flight, log_tail=log)


WAITING = "CreateSession still waiting for response from worker: /job:ps/replica:0/task:1"


def test_a_rank_that_never_came_up_is_named() -> None:
    found = verdict(starting(WAITING), server(), expected=("worker:0", "ps:0", "ps:1"))
    assert found.verdict == "peer-startup"
    assert ("ps:1",) in [sight.ranks for sight in found.findings[0].evidence]


def test_waiting_at_the_start_was_long_ago_once_steps_are_done() -> None:
    found = verdict(worker(log_tail=(WAITING,)), server(), expected=("worker:0", "ps:0", "ps:1"))
    assert found.verdict != "peer-startup"


def test_the_same_call_into_a_file_system_at_both_looks_is_a_stall() -> None:
    waiting = (look(1, wchan="request_wait_answer"), look(2, wchan="request_wait_answer"))
    assert verdict(worker(samples=waiting), server()).verdict == "filesystem-stall"


def test_a_disk_that_answers_between_the_looks_is_none() -> None:
    again = msgspec.structs.replace(look(2), threads=(ThreadSample(7, "python", "D", 1.0, 9, 5, "io_schedule", 0),))
    found = verdict(worker(samples=(look(1, wchan="io_schedule"), again)), server())
    assert found.verdict != "filesystem-stall"


def test_a_rank_that_ended_because_it_lost_a_peer_is_not_the_cause() -> None:
    words = ("UnavailableError: Connection reset by peer",)
    assert verdict(worker(), server(samples=(), exit_status=1, exit_order=0, log_tail=words)).verdict == "unknown"


def test_steps_that_are_mostly_quick_and_sometimes_take_seconds_are_slow() -> None:
    """As on a link that loses data."""
    events, at = [], 100.0
    for number in range(4000):
        took = 3.0 if number >= 3990 and number % 2 == 0 else 0.005
        events += [Event(at, at, "step_begin", number, 0), Event(at + took, at, "step_end", number, 0)]
        at += took
    history = Flight(
        "worker:0", "tf1.12", tuple(events), (), epoch_ends=3, steps=4000, count=8000, read_at=at, typical_step=0.005
    )
    assert verdict(worker(flight=history), server()).verdict == "slow"
