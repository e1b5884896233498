"""Ranks that wait for a key of a store, told from ranks that wait until all have joined."""

from __future__ import annotations

import msgspec
import pytest
from test_causes_by_family import PY, SITE, process, stack

from diagnostics.discover.groups import named_group
from diagnostics.discover.scan import Seen
from diagnostics.model import BlockingCall, Collection, Connection, Diagnosis, Frame, Process, Role
from diagnostics.pipeline import explain
from diagnostics.stacks.stand import stand_of

MAIN = "<module> /home/ada/job/vocab.py:40"
TORCH = "@libtorch_cpu.so"
C10D = f"{SITE}torch/distributed/"
ASKS = (
    f"c10d::TCPStore::get {TORCH}", f"c10d::TCPStore::doGet {TORCH}", f"c10d::TCPStore::doWait {TORCH}",
    f"c10d::detail::TCPClient::receiveValueWithTimeout {TORCH}", "poll @libc.so.6",
)  # fmt: skip
WAITS = (f"c10d::PrefixStore::wait {TORCH}", f"c10d::TCPStore::wait {TORCH}", "poll @libc.so.6")
FILE = (f"c10d::FileStore::get {TORCH}", "nanosleep @libc.so.6")
OF_THE_JOB = {
    "a process group": (f"init_process_group {C10D}distributed_c10d.py:1700",),
    "another group": (f"new_group {C10D}distributed_c10d.py:5000",),
    "the store's barrier": (f"_store_based_barrier {C10D}distributed_c10d.py:900",),
    "the store itself": (f"c10d::TCPStore::TCPStore {TORCH}", f"c10d::TCPStore::waitForWorkers {TORCH}"),
    "a launcher": (f"next_rendezvous {C10D}elastic/rendezvous/static_tcp_rendezvous.py:60",),
    "a communicator": (f"c10d::ProcessGroupNCCL::broadcastUniqueNCCLID {TORCH}",),
}


def waiter(index: int, *inside: str, serves: str = "", watched: float = 30.0) -> Process:
    local, remote = f"127.0.0.1:5416{index}", "127.0.0.1:33238"
    return process(
        f"worker:{index}", stack(MAIN, f"fetch{index} /home/ada/job/vocab.py:{10 + index}", *inside),
        pid=100 + 10 * index, watched=watched,
        calls=[BlockingCall(100 + 10 * index, "poll", "socket", f"{local} -> {remote}", peer=serves)],
        connections=(Connection(local, remote, "ESTABLISHED", serves, last_received=12.0, bytes_received=23),),
    )  # fmt: skip


def told(*processes: Process, expected: tuple[str, ...] = ()) -> tuple[Collection, Diagnosis]:
    found = explain(Collection(1.0, 2.0, processes, expected))
    assert not found[1].errors
    return found


@pytest.mark.parametrize("inside", [ASKS, WAITS, FILE], ids=["get", "wait", "file"])
def test_a_key_that_nobody_sets_is_no_rank_that_has_not_come(inside: tuple[str, ...]) -> None:
    """GIVEN clients that wait for keys of a store that serves them, THEN nobody is said not to have come up."""
    for expected in ((), ("worker:0",)):
        _, found = told(waiter(1, *inside), waiter(2, *inside), expected=expected)
        assert found.hung
        assert "peer-startup" not in {found.verdict, *(one.cause for one in found.findings if one.confidence > 0.5)}
        assert not any("has not come" in wait.why for wait in found.waits)
    assert {one.rank for one in told(waiter(1, *inside), waiter(2, *inside))[1].culprits} == {"worker:1", "worker:2"}


def test_the_store_is_named_and_who_serves_it() -> None:
    seen, _ = told(waiter(1, *ASKS), waiter(2, *ASKS, serves="launcher/7"))
    said = [process.positions[0].waits_for for process in seen.processes]
    assert said[0] == "a key of the store at 127.0.0.1:33238"
    assert said[1] == "a key of the store at 127.0.0.1:33238, which launcher/7 serves"


@pytest.mark.parametrize("what", OF_THE_JOB)
def test_who_makes_a_group_waits_for_the_others(what: str) -> None:
    """GIVEN the same wait below whatever ranks find each other by, THEN it is for them, and no key of the program's."""
    stand = stand_of(stack(MAIN, *OF_THE_JOB[what], *ASKS))
    assert stand.has(Role.RENDEZVOUS, Role.COLLECTIVE)
    assert not stand.has(Role.KEY)


def test_a_missing_rank_is_named_where_the_group_is_being_made() -> None:
    inside = (*OF_THE_JOB["a process group"], *ASKS)
    _, found = told(waiter(1, *inside), waiter(2, *inside), expected=("worker:0",))
    assert found.verdict == "peer-startup"


def test_a_rank_that_stands_elsewhere_may_have_to_set_the_key() -> None:
    reads = stack(MAIN, "load /home/ada/job/vocab.py:60", f"recv_into {PY}ssl.py:1165", "read @libc.so.6")
    other = process("worker:0", reads, pid=100, watched=30.0)
    _, found = told(other, waiter(1, *ASKS), waiter(2, *ASKS))
    assert found.verdict == "rank-elsewhere"
    assert found.culprits[0].rank == "worker:0"


def test_who_trains_may_still_set_the_key() -> None:
    """GIVEN a rank that works, THEN who waits for a key of their store is well, however long."""
    works = (Frame("prepare", "/home/ada/job/vocab.py", 70),)
    trains = process("worker:0", works, pid=100, state="R", watched=30.0)
    looks = [msgspec.structs.replace(s, threads=(msgspec.structs.replace(s.threads[0], cpu=n * 20.0),))
             for n, s in enumerate(trains.samples)]  # fmt: skip
    trains = msgspec.structs.replace(trains, samples=tuple(looks))
    assert told(trains, waiter(1, *ASKS), waiter(2, *ASKS))[1].verdict == "none"


def test_who_is_in_a_collective_waits_for_the_one_at_the_key() -> None:
    meets = stack(MAIN, f"all_reduce {C10D}distributed_c10d.py:2600", "gloo::transport::wait @libtorch_cpu.so")
    others = [process(f"worker:{n}", meets, pid=300 + n, watched=30.0) for n in (0, 2)]
    _, found = told(others[0], waiter(1, *ASKS), others[1])
    assert [one.rank for one in found.culprits] == ["worker:1"]
    assert found.verdict == "rank-elsewhere"


def test_bare_numbers_that_begin_with_one_miss_nobody() -> None:
    """GIVEN a number without a flag or a role, THEN that the first is 0 is not said; a flag for it says so."""
    bare = [Seen(30 + n, 1, 0, ("python3", "job.py", "33238", str(n)), framework="torch") for n in (1, 2)]
    assert named_group(bare).expected == ("worker:1", "worker:2")
    flags = [Seen(30 + n, 1, 0, ("python3", "job.py", "--rank", str(n)), framework="torch") for n in (1, 2)]
    assert named_group(flags).expected == ("worker:0", "worker:1", "worker:2")
