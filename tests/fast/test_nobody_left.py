"""Waits that nobody is left to end: at barriers, queues, pipes and locks, beside threads that work by the clock."""

from __future__ import annotations

import msgspec
import pytest
from test_causes_by_family import EVENT, LOCK, MAIN, PY, SITE, process, stack, verdict, waits

from diagnostics.model import Collection, Connection, FileLock, Frame, Process
from diagnostics.pipeline import explain
from diagnostics.report.verdict import device_words

START = (f"_bootstrap {PY}threading.py:1002", f"run {PY}threading.py:982")
WAIT = (f"wait {PY}threading.py:327", LOCK)
TAKES = stack(MAIN, "next_rows /home/ada/job/rows.py:26", f"get {PY}queue.py:171", *WAIT)
JOINS = stack(MAIN, f"join {PY}threading.py:1119", LOCK)
BEATS = stack(*START, "beat /home/ada/job/rows.py:32", "time_sleep @libpython3.11.so.1.0")
AT_BARRIER = stack(
    *START, "handle /home/ada/job/ps.py:47", f"wait {PY}threading.py:681", f"_wait {PY}threading.py:726", *WAIT
)


def beside_a_clock(*stacks: tuple[Frame, ...]) -> Process:
    """Watched for a minute, in which the last thread alone has run, again and again."""
    one = process("pid:100", *stacks, watched=60.0)
    tid = one.threads[-1].tid
    last = one.samples[-1]
    ran = tuple(
        msgspec.structs.replace(each, cpu=each.cpu + 0.02, voluntary=each.voluntary + 60) if each.tid == tid else each
        for each in last.threads
    )
    return msgspec.structs.replace(one, samples=(one.samples[0], msgspec.structs.replace(last, threads=ran)))


def test_who_takes_from_a_queue_beside_a_heartbeat_waits_for_input() -> None:
    """GIVEN a main thread in Queue.get whose producer has ended, and a heartbeat, THEN the input is named."""
    one = beside_a_clock(TAKES, BEATS)
    found = explain(Collection(1.0, 2.0, (one,)))[1]
    assert (found.verdict, found.findings[0].cause) == ("input-stall", "queue-nobody-puts")
    assert found.culprits[0].position is not None and found.culprits[0].position.function == "next_rows"
    assert found.culprits[0].position.waits_for == "an item of a queue, which is empty"
    assert not any("may wait for thread" in one.why for one in found.culprits)


def test_a_callback_of_a_native_step_that_takes_from_a_queue_waits_for_input() -> None:
    """GIVEN a thread of a runtime in a callback that takes from a queue, whose filler has ended, and a main thread that
    waits for the step, THEN it is the input that lacks; a program that waits so by itself has other names."""
    calls = (f"_flat_callback {SITE}jax/_src/callback.py:80", f"_wrapped_callback {SITE}jax/_src/callback.py:90")
    sample = stack(*calls, "sample /home/ada/job/replay.py:8", f"get {PY}queue.py:171", *WAIT)
    step = stack(MAIN, f"block_until_ready {SITE}jax/_src/array.py:640", "xla::PjRtFuture::Await @jaxlib.so")
    assert verdict(process("pid:100", step, sample, watched=60.0)) == ("input-stall", "queue-nobody-puts")
    fills = stack(*START, "play /home/ada/job/actor.py:30", f"readinto {PY}socket.py:706", "recv @libc.so.6")
    assert verdict(process("pid:100", step, sample, fills, watched=60.0))[1] != "queue-nobody-puts"


UNTOLD = "pid:100: the host waits for the card, and the card's readings are not known"


@pytest.mark.parametrize("on_host", [True, False])
def test_a_callback_that_puts_into_a_full_queue_which_its_caller_empties(on_host: bool) -> None:
    """GIVEN a callback in Queue.put, and a main thread that waits for the program and would take afterwards, THEN both
    are told, and not the device; where the program runs on the host's cores, no word of a card."""
    calls = (f"_flat_callback {SITE}jax/_src/callback.py:80", f"_wrapped_callback {SITE}jax/_src/callback.py:90")
    runs = ("xla::cpu::ThunkExecutor::TracedExecute @libjax_common.so",) if on_host else ()
    record = stack(*runs, *calls, "record /home/ada/job/curves.py:18", f"put {PY}queue.py:140", *WAIT)
    step = stack(MAIN, "fit /home/ada/job/fit.py:58", "tsl::BlockUntilReady @libjax_common.so")
    told, found = explain(Collection(1.0, 2.0, (process("pid:100", step, record, watched=60.0),)))
    assert (found.verdict, found.findings[0].cause) == ("callback-deadlock", "callback-deadlock")
    assert "put" in found.findings[0].remedy[0]
    assert device_words(Collection(1.0, 2.0, told.processes), found) == ("" if on_host else UNTOLD)
    device = [one.confidence for one in found.findings if one.cause == "device-or-driver"]
    assert not (on_host and device)
    assert not device or device[0] < 0.5
    assert any(wait.on == "pid:100 thread 101" for wait in found.waits)
    assert [one.position.function for one in found.culprits if one.position] == ["record"]


def test_a_generator_at_a_pipe_does_not_wait_for_who_asks_it() -> None:
    """GIVEN a main thread that asks for a batch, and a generator's thread that reads a pipe, THEN no circle is told."""
    asks = stack(MAIN, f"__next__ {SITE}tensorflow/python/data/ops/iterator_ops.py:826", "IteratorGetNext @libtf.so")
    call = f"__call__ {SITE}tensorflow/python/ops/script_ops.py:269"
    rows = stack(call, "rows /home/ada/job/feed.py:31", f"get {PY}multiprocessing/queues.py:103",
                 f"_recv {PY}multiprocessing/connection.py:395")  # fmt: skip
    pipe = waits(101, "pipe", "read", "pipe:[7]", others=(100,))
    found = explain(Collection(1.0, 2.0, (process("pid:100", asks, rows, calls=[pipe], watched=60.0),)))[1]
    assert not any(wait.rank == "pid:100 thread 101" and wait.on == "pid:100" for wait in found.waits)
    assert found.culprits[0].position is not None and found.culprits[0].position.function == "rows"


def test_who_reads_what_a_killed_helper_was_to_write_waits_for_that_one() -> None:
    """GIVEN a step, a thread that takes from a queue of processes for it, and a child that a signal has ended, THEN the
    child is named with its signal, its parent at the queue comes after it, and no circle is told."""
    asks = stack(MAIN, "next_batch /home/ada/job/fit.py:9", f"get {PY}queue.py:171", *WAIT)
    rows = stack(*START, "pump /home/ada/job/feed.py:31", f"get {PY}multiprocessing/queues.py:103",
                 f"_recv {PY}multiprocessing/connection.py:395", "read @libc.so.6")  # fmt: skip
    pipe = waits(101, "pipe", "read", "pipe:[7]", others=(100,))
    one = process("pid:100", asks, rows, calls=[pipe], watched=60.0)
    killed = Process("child/pid:100/120", 120, "node4", parent=100, exit_status=-9)
    found = explain(Collection(1.0, 2.0, (one, killed)))[1]
    assert (found.verdict, found.findings[0].cause) == ("helper-process-dead", "helper-process-dead")
    assert found.findings[0].title.startswith("child/pid:100/120 was ended by SIGKILL (signal 9)")
    assert "why the helper ended" in found.findings[0].remedy[0]
    places = [(one.rank, one.position.function if one.position else "") for one in found.culprits]
    assert places == [("child/pid:100/120", ""), ("pid:100", "pump")]
    # With the other end open elsewhere, somebody may still write.
    other = waits(101, "pipe", "read", "pipe:[7]", others=(100, 300))
    found = explain(Collection(1.0, 2.0, (msgspec.structs.replace(one, blocking_calls=(other,)), killed)))[1]
    assert "child/pid:100/120" not in [one.rank for one in found.culprits]


def test_a_helper_that_failed_makes_no_hang_of_a_job_that_goes_on() -> None:
    one = beside_a_clock(stack(MAIN, "fit /home/ada/job/fit.py:9"))
    last = one.samples[-1]
    ran = tuple(msgspec.structs.replace(each, cpu=each.cpu + 30, state="R") for each in last.threads)
    one = msgspec.structs.replace(one, samples=(one.samples[0], msgspec.structs.replace(last, threads=ran)))
    killed = Process("child/pid:100/120", 120, "node4", parent=100, exit_status=1)
    found = explain(Collection(1.0, 2.0, (one, killed)))[1]
    assert (found.verdict, found.hung) == ("none", False)


def test_what_a_notification_is_for_is_told() -> None:
    slots = stack(MAIN, "fetch /home/ada/job/crawl.py:4", f"acquire {PY}threading.py:507", *WAIT)
    told, found = explain(Collection(1.0, 2.0, (process("pid:100", slots, watched=60.0),)))
    assert told.processes[0].positions[0].waits_for == "a slot of a semaphore, all of which are taken"
    assert "slot of a semaphore" in found.findings[0].remedy[0]
    waits = stack(MAIN, "fetch /home/ada/job/crawl.py:4", *WAIT)
    other = explain(Collection(1.0, 2.0, (process("pid:100", waits, watched=60.0),)))[1]
    assert other.findings and not any("semaphore" in text for text in other.findings[0].remedy)


def test_a_producer_at_a_socket_may_still_put() -> None:
    reads = stack(*START, "pull /home/ada/job/rows.py:40", f"readinto {PY}socket.py:706", "recv @libc.so.6")
    assert verdict(beside_a_clock(TAKES, reads, BEATS))[1] != "queue-nobody-puts"


def test_who_puts_into_a_full_queue_that_nobody_takes_from() -> None:
    """GIVEN a callback of a native step that puts, and a writer that has ended, THEN the full queue is named."""
    puts = stack(MAIN, "tap /home/ada/job/log.py:9", f"put {PY}queue.py:140", *WAIT)
    one = process("pid:100", puts, watched=60.0)
    found = explain(Collection(1.0, 2.0, (one,)))[1]
    assert "queue-nobody-takes" in {finding.cause for finding in found.findings}
    assert found.culprits[0].position and "full" in found.culprits[0].position.waits_for
    taker = stack(*START, "write /home/ada/job/log.py:20", f"get {PY}queue.py:171", *WAIT)
    assert verdict(process("pid:100", puts, taker, watched=60.0))[1] != "queue-nobody-takes"


def test_a_barrier_to_which_nobody_is_on_its_way_is_no_lost_notification() -> None:
    """GIVEN threads at a barrier, Python's or C's, and no other thread but who joins them, THEN one is missing."""
    assert verdict(process("pid:100", JOINS, AT_BARRIER, AT_BARRIER)) == ("rank-elsewhere", "barrier-short")
    native = stack("solve @jacobi", "pthread_barrier_wait @libc.so.6")
    joins = stack("main @jacobi", "pthread_join @libc.so.6")
    assert verdict(process("pid:100", joins, native, command=("./jacobi",))) == ("rank-elsewhere", "barrier-short")


def test_a_barrier_to_which_a_thread_is_on_its_way_is_not_blamed() -> None:
    reads = stack(*START, "load /home/ada/job/ps.py:60", f"readinto {PY}socket.py:706", "recv @libc.so.6")
    assert verdict(process("pid:100", JOINS, AT_BARRIER, reads))[0] not in ("rank-elsewhere", "lost-wakeup")


def test_threads_that_wait_for_one_another_beside_a_scraper() -> None:
    """GIVEN tasks of a pool that wait for what nobody gives back, and a thread that scrapes, THEN a notification is
    missing; with one more at a connection it is not said."""
    task = stack(
        *START, f"_worker {PY}concurrent/futures/thread.py:83", f"run {PY}concurrent/futures/thread.py:58",
        "take /home/ada/job/pool.py:13", f"get {PY}queue.py:171", *WAIT,
    )  # fmt: skip
    main = stack(MAIN, f"as_completed {PY}concurrent/futures/_base.py:243", *EVENT)
    assert verdict(beside_a_clock(main, task, task, BEATS))[0] == "lost-wakeup"
    reads = stack(*START, "pull /home/ada/job/rows.py:40", f"readinto {PY}socket.py:706", "recv @libc.so.6")
    assert verdict(beside_a_clock(main, task, reads, BEATS))[0] != "lost-wakeup"


def test_who_reads_its_own_pipe_has_no_helper() -> None:
    """GIVEN a read from a pipe whose other end only the reader has, THEN no helper is said to have died."""
    asks = stack(MAIN, "serve /home/ada/job/feed.py:14", "read @libc.so.6")
    own = waits(100, "pipe", "read", "pipe:[77]", others=(100,))
    found = explain(Collection(1.0, 2.0, (process("pid:100", asks, calls=[own], watched=60.0),)))[1]
    assert found.verdict == "input-stall"
    assert "helper-process-dead" not in {finding.cause for finding in found.findings}
    queue = stack(MAIN, "drain /home/ada/job/feed.py:20", f"get {PY}multiprocessing/queues.py:103", "read @libc.so.6")
    assert verdict(process("pid:100", queue, calls=[own], watched=60.0))[0] == "helper-process-dead"


def test_a_reader_that_does_something_else_holds_up_who_fills_its_pipe() -> None:
    """GIVEN a write into a full pipe that only a sleeping program has open, THEN that one is elsewhere."""
    writes = stack(MAIN, "epoch /home/ada/job/run.py:9", "write @libc.so.6")
    full = waits(100, "pipe", "write", "pipe:[78]", others=(300,))
    writer = process("pid:100", writes, calls=[full], watched=60.0)
    slept = waits(300, "time", "clock_nanosleep", "its sleep", limited=True, ends_in=90000.0)
    sleeps = stack("main @sleep", "clock_nanosleep @libc.so.6")
    reader = process("pid:300", sleeps, pid=300, calls=[slept], command=("sleep", "100000"), watched=60.0)
    found = explain(Collection(1.0, 2.0, (writer, reader)))[1]
    assert found.verdict == "rank-elsewhere" and found.culprits[0].rank == "pid:300"


def test_the_holder_of_a_file_lock_is_named_not_the_client_it_reads_from() -> None:
    """GIVEN a worker that reads a request while others wait for its lock, THEN it is the one to look at."""
    reads = stack(MAIN, "read_request /home/ada/job/srv.py:25", f"recv {PY}socket.py:706", "recv @libc.so.6")
    asks = waits(200, "socket", "recvfrom", "127.0.0.1:80 -> 127.0.0.1:9000", peer="pid:100")
    lock = FileLock("/tmp/accept", "flock", waits=True, holders=(200,))
    locks = stack(MAIN, "run /home/ada/job/srv.py:14", "flock @libc.so.6")
    sleeps = stack(MAIN, "watch /home/ada/job/srv.py:54", "time_sleep @libpython3.11.so.1.0")
    holder = process("child/pid:100/200", reads, pid=200, parent=100, calls=[asks], watched=60.0)
    others = [
        process(f"child/pid:100/{pid}", locks, pid=pid, parent=100, locks=(lock,), watched=60.0) for pid in (300, 400)
    ]
    found = explain(Collection(1.0, 2.0, (process("pid:100", sleeps, watched=60.0), holder, *others)))[1]
    assert found.culprits[0].rank == "child/pid:100/200"
    assert found.culprits[0].position and found.culprits[0].position.function == "read_request"


def test_a_holder_that_waits_for_ranks_is_not_the_end_of_the_waiting() -> None:
    """GIVEN a holder of a file lock that waits for a child itself, THEN the child comes before it."""
    holder = process(
        "pid:100", stack(MAIN, "merge /home/ada/job/m.py:5", f"wait {PY}subprocess.py:1264", "wait4 @libc.so.6"),
        calls=[waits(100, "child", "wait4", "its end", others=(200,))], watched=60.0,
    )  # fmt: skip
    child = process(
        "child/pid:100/200", stack("main @sort", "read @libc.so.6"), pid=200, parent=100, command=("sort",),
        calls=[waits(200, "pipe", "read", "pipe:[9]", others=(100,))], watched=60.0, state="S",
    )  # fmt: skip
    lock = FileLock("/tmp/merge", "flock", waits=True, holders=(100,))
    other = process("pid:300", stack(MAIN, "run /home/ada/job/m.py:3", "flock @libc.so.6"), pid=300, locks=(lock,))
    found = explain(Collection(1.0, 2.0, (holder, child, other)))[1]
    assert not any("the lock on" in one.why and one.confidence == 0.85 for one in found.culprits)


def test_two_that_read_from_each_other_are_a_circle_of_processes() -> None:
    """GIVEN a client and its server that both wait for the other's bytes, THEN both are told."""
    ends = ("127.0.0.1:5000", "127.0.0.1:6000")

    def reads(pid: int, place: str, local: str, remote: str) -> Process:
        where = stack(MAIN, place, f"recv_into {PY}socket.py:706", "recv @libc.so.6")
        call = waits(pid, "socket", "recvfrom", f"{local} -> {remote}", peer=f"pid:{300 - pid}", others=(300 - pid,))
        link = Connection(local, remote, "ESTABLISHED", last_sent=60.0, last_received=60.0)
        return process(f"pid:{pid}", where, pid=pid, calls=[call], connections=(link,), watched=60.0)

    client, server = reads(100, "ship /home/ada/job/ship.py:14", *ends), reads(200, "take /srv/sink.py:6", *ends[::-1])
    found = explain(Collection(1.0, 2.0, (client, server)))[1]
    assert (found.verdict, found.findings[0].cause) == ("rank-elsewhere", "process-circle")
    told = " ".join(one.fact for one in found.findings[0].evidence)
    assert "pid:100" in found.findings[0].title and "pid:200" in found.findings[0].title
    assert "127.0.0.1:5000" in told
    assert verdict(client)[1] != "process-circle"
