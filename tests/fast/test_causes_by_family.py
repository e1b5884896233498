"""One story a family, in the style of somebody else's program: other names, launchers and frameworks than the zoo's."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from diagnostics.model import (
    BlockingCall,
    Collection,
    Collective,
    Connection,
    FileLock,
    Frame,
    Process,
    Sample,
    Thread,
    ThreadSample,
)
from diagnostics.pipeline import explain

PY = "/opt/conda/lib/python3.11/"
SITE = f"{PY}site-packages/"


def stack(*frames: str) -> tuple[Frame, ...]:
    """`function file:line` of Python, or `function @library` of native code, outermost first."""
    found = []
    for text in frames:
        function, _, where = text.partition(" ")
        if where.startswith("@"):
            found.append(Frame(function, where[1:].strip(), native=True))
        else:
            file, _, line = where.partition(":")
            found.append(Frame(function, file, int(line or 0)))
    return tuple(found)


LOCK = "lock_PyThread_acquire_lock @libpython3.11.so.1.0"
FUTEX = "pthread_cond_wait @libc.so.6"
EVENT = (f"wait {PY}threading.py:629", f"wait {PY}threading.py:327", LOCK)


def process(
    rank: str,
    *stacks: tuple[Frame, ...],
    pid: int = 100,
    calls: Iterable[BlockingCall] = (),
    names: Iterable[str] = (),
    parent: int = 0,
    command: tuple[str, ...] = ("/usr/bin/python3", "/home/ada/job/run.py"),
    state: str = "S",
    wchan: str = "",
    watched: float = 1.0,
    **more: object,
) -> Process:
    """A process whose threads stand still at both samples; the first thread is the main one."""
    tids = [pid + index for index in range(max(1, len(stacks)))]
    labels = [*names, *[""] * len(tids)]
    sampled = tuple(ThreadSample(tid, "python3", state, 1.0, 5, 5, wchan, 0) for tid in tids)
    threads = tuple(Thread(tid, labels[i], frames) for i, (tid, frames) in enumerate(zip(tids, stacks, strict=False)))
    return Process(
        rank,
        pid,
        "node4",
        threads=threads,
        samples=(Sample(1.0, sampled), Sample(1.0 + watched, sampled)),
        blocking_calls=tuple(calls),
        parent=parent,
        command=command,
        **more,  # type: ignore[arg-type]
    )


def verdict(*processes: Process, expected: tuple[str, ...] = ()) -> tuple[str, str]:
    found = explain(Collection(1.0, 2.0, processes, expected))[1]
    assert not found.errors
    return found.verdict, found.findings[0].cause if found.findings else ""


def waits(process_id: int, kind: str, call: str, what: str = "", **more: object) -> BlockingCall:
    return BlockingCall(process_id, call, kind, what, **more)  # type: ignore[arg-type]


GLOO = "gloo::transport::tcp::UnboundBuffer::waitRecv @libtorch_cpu.so"
FORK = (f"start {PY}multiprocessing/process.py:121", f"_launch {PY}multiprocessing/popen_fork.py:71")
MAIN = "<module> /home/ada/job/run.py:90"
IN_ALL_REDUCE = stack(
    MAIN, "fit /home/ada/job/engine.py:31", f"all_reduce {SITE}torch/distributed/distributed_c10d.py:2810", GLOO
)
IN_BARRIER = stack(
    MAIN, "close /home/ada/job/engine.py:80", f"barrier {SITE}torch/distributed/distributed_c10d.py:4700", GLOO
)
RESTS = stack(MAIN, "linger /home/ada/job/engine.py:99", *EVENT)
DOWNLOADS = stack(MAIN, "fetch_labels /home/ada/job/labels.py:12", f"readinto {PY}socket.py:706", "recv @libc.so.6")

SILENT = (Connection("10.0.0.4:5000", "10.0.0.9:6000", "ESTABLISHED", last_sent=90.0, last_received=90.0),)
"""A connection by which one sees that its process has done nothing for a minute and a half."""

OPENS = stack(MAIN, "rows /home/ada/job/feed.py:4", "open64 @libc.so.6")

STORIES = {
    "a main thread opens a named pipe that nobody writes into": (
        ("input-stall", "input-stall"),
        [
            process(
                "pid:100", OPENS, calls=[waits(100, "file", "openat", "/tmp/rows (a named pipe, to read)")],
                wchan="wait_for_partner", watched=30.0,
            )
        ],
    ),
    "one that nobody reads from": (
        ("unknown", ""),
        [
            process(
                "pid:100", OPENS, calls=[waits(100, "file", "openat", "/tmp/rows (a named pipe, to write)")],
                wchan="wait_for_partner", watched=30.0,
            )
        ],
    ),
    "a mutex of C++ whose owner has ended": (
        ("lock-owner-gone", "lock-owner-gone"),
        [
            process(
                "pid:100",
                stack("main @solver", "Grid::commit @solver", "__lll_lock_wait @libc.so.6"),
                stack("Grid::refine @solver", "pthread_mutex_lock @libc.so.6", "__lll_lock_wait @libc.so.6"),
                calls=[waits(tid, "futex", "futex", "0x7f00", owner=4242) for tid in (100, 101)],
                command=("./solver",),
            )
        ],
    ),
    "a circle of three mutexes, one place": (
        ("lock-order", "lock-order"),
        [
            process(
                "pid:100",
                *[stack("Fork::take @philosophers", "__lll_lock_wait @libc.so.6")] * 3,
                calls=[waits(100 + i, "mutex", "futex", f"0x{i}", holder=100 + (i + 1) % 3) for i in range(3)],
                command=("./philosophers",),
            )
        ],
    ),
    "a signal's handler takes the lock of what it interrupted": (
        ("lock-order", "lock-taken-again"),
        [
            process(
                "pid:100",
                stack(
                    MAIN, "record /home/ada/job/meter.py:20", f"put {PY}queue.py:150",
                    "on_usr1 /home/ada/job/meter.py:41", LOCK,
                ),
            )
        ],
    ),
    "a forked worker in a BLAS call, its pool's threads left behind": (
        ("fork-with-threads", "fork-with-threads"),
        [
            process(
                "pid:100",
                stack(MAIN, "run /home/ada/job/grid.py:4", f"wait {PY}subprocess.py:1264", "wait4 @libc.so.6"),
                *[stack("blas_thread_server @libopenblas.so.0", FUTEX)] * 2,
            ),
            process(
                "child/pid:100/300",
                stack(
                    MAIN, "evaluate /home/ada/job/grid.py:19", "cblas_dgemm @libopenblas.so.0",
                    "exec_blas @libopenblas.so.0", FUTEX,
                ),
                pid=300, parent=100,
            ),
        ],
    ),
    "an executor's task waits for its own pool": (
        ("thread-pool-exhaustion", "executor-waits-for-itself"),
        [
            process(
                "pid:100",
                stack(MAIN, f"result {PY}concurrent/futures/_base.py:451", *EVENT[1:]),
                stack(
                    f"_bootstrap {PY}threading.py:995", f"_worker {PY}concurrent/futures/thread.py:83",
                    f"run {PY}concurrent/futures/thread.py:58", "expand /home/ada/job/crawl.py:9",
                    f"result {PY}concurrent/futures/_base.py:451", *EVENT[1:],
                ),
            )
        ],
    ),
    "threads of a native program wait for each other's condition": (
        ("lost-wakeup", "condition-lost-wakeup"),
        [
            process(
                "pid:100", stack("main @ring", "Ring::pop @ring", FUTEX), stack("Ring::push @ring", FUTEX),
                command=("./ring",),
            )
        ],
    ),
    "a pool whose workers end as they start": (
        ("helper-process-dead", "pool-task-lost"),
        [
            process(
                "pid:100",
                stack(MAIN, f"map {PY}multiprocessing/pool.py:367", f"get {PY}multiprocessing/pool.py:768", *EVENT),
                stack(f"_handle_workers {PY}multiprocessing/pool.py:522", "poll @libc.so.6"),
                watched=25.0,
            ),
            process(
                "child/pid:100/200", stack(f"main {PY}multiprocessing/forkserver.py:218", "epoll_wait @libc.so.6"),
                pid=200, parent=100,
            ),
        ],
    ),
    "a pool's task is lost and its workers idle": (
        ("helper-process-dead", "pool-task-lost"),
        [
            process(
                "pid:100",
                stack(MAIN, f"map {PY}multiprocessing/pool.py:367", f"get {PY}multiprocessing/pool.py:768", *EVENT),
            ),
            *[
                process(
                    f"child/pid:100/{pid}",
                    stack(
                        MAIN, *FORK, f"_bootstrap {PY}multiprocessing/process.py:314",
                        f"worker {PY}multiprocessing/pool.py:114",
                        f"get {PY}multiprocessing/queues.py:364", "read @libc.so.6",
                    ),
                    pid=pid, parent=100, age=age,
                )
                for pid, age in ((300, 90.0), (340, 30.0))
            ],
        ],
    ),
    "two processes write into each other's full pipes": (
        ("pipe-full", "pipe-circle"),
        [
            process("pid:100", stack(MAIN, "feed /home/ada/job/filter.py:7", "write @libc.so.6"),
                    calls=[waits(100, "pipe", "write", "pipe:[5]", others=(300,))]),
            process("child/pid:100/300", stack("main @sortlines", "write @libc.so.6"), pid=300, parent=100,
                    calls=[waits(300, "pipe", "write", "pipe:[6]", others=(100,))], command=("sortlines",)),
        ],
    ),
    "a child that writes its errors, while its parent reads only its output": (
        ("pipe-full", "subprocess-pipe-full"),
        [
            process(
                "pid:100",
                stack(MAIN, f"run_forever {PY}asyncio/base_events.py:608", f"_run_once {PY}asyncio/base_events.py:1898",
                      f"select {PY}selectors.py:468", "epoll_wait @libc.so.6"),
                calls=[waits(100, "several", "epoll_wait", "1 pipe, 1 socket", others=(100, 300))], watched=60.0,
            ),
            process("child/pid:100/300", stack(MAIN, "check /home/ada/job/convert.py:8", "write @libc.so.6"), pid=300,
                    calls=[waits(300, "pipe", "write", "pipe:[6]", others=(100,))], parent=100, watched=60.0,
                    command=("python3", "/home/ada/job/convert.py")),
        ],
    ),
    "two processes with the locks on files that the other wants": (
        ("lock-order", "file-lock-order"),
        [
            process("pid:100", stack(MAIN, "guard /home/ada/job/days.py:7", "flock @libc.so.6"),
                    locks=(FileLock("/data/csv.lock", "flock", True, (300,)),),
                    calls=[waits(100, "file", "flock", "/data/csv.lock (ext4 of /dev/vda)")]),
            process("pid:300", stack(MAIN, "export /home/ada/job/days.py:31", "fcntl @libc.so.6"), pid=300,
                    locks=(FileLock("/data/day.db", "posix", True, (100,)),),
                    calls=[waits(300, "file", "fcntl", "/data/day.db (ext4 of /dev/vda)")]),
        ],
    ),
    "a rank that waits for another program's lock on a file": (
        ("file-lock-held", "file-lock-held"),
        [
            process("worker:0", stack(MAIN, "save /home/ada/job/keep.py:7", "flock @libc.so.6"), watched=60.0,
                    locks=(FileLock("/data/keep.lock", "flock", True, (300,)),),
                    calls=[waits(100, "file", "flock", "/data/keep.lock (ext4 of /dev/vda)")]),
            process("worker:1", IN_ALL_REDUCE, pid=200, watched=60.0),
            process("pid:300", DOWNLOADS, pid=300, connections=SILENT, watched=60.0),
        ],
    ),
    "a lock on a file that another process holds": (
        ("file-lock-held", "file-lock-held"),
        [
            process("pid:100", stack(MAIN, "cache /home/ada/job/hub.py:7", "flock @libc.so.6"),
                    locks=(FileLock("/data/hub.lock", "flock", True, (300,)),), connections=SILENT),
            process("pid:300", DOWNLOADS, pid=300, connections=SILENT),
        ],
    ),
    "a lock file that nobody has open": (
        ("stale-lock-file", "stale-lock-file"),
        [
            process(
                "pid:100",
                stack(MAIN, f"acquire {SITE}filelock/_api.py:344", "time_sleep @libpython3.11.so.1.0"),
                locks=(FileLock("/data/model.lock", "name", True, ()),),
            )
        ],
    ),
    "ranks of two groups enter them in different orders": (
        ("group-order", "group-order"),
        [
            process("worker:0", IN_ALL_REDUCE, collectives=(Collective("tp", 9, "all_reduce", state="started"),
                                                            Collective("dp", 3, "all_reduce", state="completed"))),
            process("worker:1", IN_ALL_REDUCE, pid=200,
                    collectives=(Collective("tp", 8, "all_reduce", state="completed"),
                                 Collective("dp", 4, "all_reduce", state="started"))),
        ],
    ),
    "one rank has other operations under the same number": (
        ("collective-mismatch", "collective-mismatch"),
        [
            process("worker:0", IN_ALL_REDUCE, collectives=(Collective("0", 377, "ALLREDUCE", state="timed-out"),)),
            process("worker:1", IN_ALL_REDUCE, pid=200,
                    collectives=(Collective("0", 377, "_ALLGATHER_BASE", state="timed-out"),)),
        ],
    ),
    "a rank downloads while the others reduce": (
        ("rank-elsewhere", "rank-elsewhere"),
        [process("worker:0", IN_ALL_REDUCE), process("worker:1", IN_ALL_REDUCE, pid=200),
         process("worker:2", DOWNLOADS, pid=300, connections=SILENT)],
    ),
    "a rank lingers after its last batch": (
        ("collective-mismatch", "uneven-inputs"),
        [process("worker:0", IN_ALL_REDUCE), process("worker:1", RESTS, pid=200)],
    ),
    "only one rank comes to the last barrier": (
        ("teardown", "teardown"),
        [process("worker:0", IN_BARRIER), process("worker:1", RESTS, pid=200, exit_status=0)],
    ),
    "the interpreter waits for a thread that is no daemon": (
        ("teardown", "teardown"),
        [
            process(
                "pid:100",
                stack(f"_shutdown {PY}threading.py:1590", LOCK),
                stack(
                    f"_bootstrap {PY}threading.py:995", "pump /home/ada/job/tail.py:5", f"get {PY}queue.py:171",
                    *EVENT[1:],
                ),
            )
        ],
    ),
    "a kernel does not end": (
        ("device-or-driver", "device-or-driver"),
        [
            process(
                "pid:100",
                stack(
                    MAIN, "fit /home/ada/job/engine.py:31", f"synchronize {SITE}torch/cuda/__init__.py:985",
                    "cudaDeviceSynchronize @libcudart.so.12", "cuCtxSynchronize @libcuda.so.1",
                ),
                watched=30.0,
            )
        ],
    ),
    "every rank that is known waits for one that is not": (
        ("peer-startup", "peer-startup"),
        [
            process(
                f"worker:{index}",
                stack(
                    MAIN, f"init_process_group {SITE}torch/distributed/distributed_c10d.py:1700",
                    "c10d::TCPStore::wait @libtorch_cpu.so", "poll @libc.so.6",
                ),
                pid=100 + index * 10, connections=SILENT,
            )
            for index in range(2)
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("story", STORIES)
def test_the_family_is_named(story: str) -> None:
    expected, processes = STORIES[story]
    assert verdict(*processes) == expected


def test_idle_workers_of_a_pool_support_nothing() -> None:
    """GIVEN a pool whose owner computes, THEN its idle workers are no cause of anything."""
    owner = process("pid:100", stack(MAIN, "plan /home/ada/job/run.py:40"), state="R")
    worker = stack(
        MAIN, *FORK, f"_bootstrap {PY}multiprocessing/process.py:314",
                        f"worker {PY}multiprocessing/pool.py:114",
        f"get {PY}multiprocessing/queues.py:364", LOCK,
    )  # fmt: skip
    assert verdict(owner, process("child/pid:100/300", worker, pid=300, parent=100))[0] in ("unknown", "none")


def test_a_lock_taken_again_is_no_fork() -> None:
    """GIVEN one thread that waits for a lock, and no fork anywhere, THEN no fork is named."""
    once = process("pid:100", stack(MAIN, "add /home/ada/job/store.py:8", "publish /home/ada/job/store.py:15", LOCK))
    found = explain(Collection(1.0, 2.0, (once,)))[1]
    assert "fork-with-threads" not in {finding.family for finding in found.findings}
    assert found.findings[0].cause == "lock-taken-again"


def test_ranks_at_different_numbers_of_one_operation_are_behind_and_no_mismatch() -> None:
    ranks = [
        process(
            f"worker:{index}", IN_ALL_REDUCE, pid=100 + 10 * index,
            collectives=(Collective("0", 900 + index, "ALLREDUCE", state="started"),),
        )
        for index in range(2)
    ]  # fmt: skip
    assert verdict(*ranks)[0] != "collective-mismatch"


def test_a_rank_that_moves_elsewhere_is_waited_for_and_not_blamed() -> None:
    """GIVEN a rank that evaluates while the others wait, THEN nothing is named."""
    busy = process("worker:1", stack(MAIN, "score /home/ada/job/eval.py:9"), pid=200, state="R")
    later = Sample(2.0, (ThreadSample(200, "python3", "R", 2.0, 5, 90),))
    busy = Process(**{**{f: getattr(busy, f) for f in busy.__struct_fields__}, "samples": (busy.samples[0], later)})
    assert verdict(process("worker:0", IN_ALL_REDUCE), busy)[0] in ("none", "slow", "unknown")


def test_a_rank_of_which_it_is_not_decided_whether_it_moves_is_not_blamed() -> None:
    """GIVEN a rank that may write a checkpoint while the others wait at a barrier, THEN nothing is named."""
    saves = stack(MAIN, "write_shards /home/ada/job/save.py:14", "time_sleep @libpython3.11.so.1.0")
    ranks = process("worker:1", IN_BARRIER, pid=200), process("worker:0", saves)
    assert verdict(*ranks)[0] in ("unknown", "none", "slow")


def test_a_wait_with_a_limit_ends_by_itself() -> None:
    """GIVEN an event loop that nothing outside could wake, but that sleeps for a time, THEN nothing is named."""
    loop = stack(
        MAIN, f"run_forever {PY}asyncio/base_events.py:607", f"_run_once {PY}asyncio/base_events.py:1884",
        f"select {PY}selectors.py:468", "epoll_wait @libc.so.6",
    )  # fmt: skip
    limited = waits(100, "event", "epoll_wait", limited=True)
    assert verdict(process("pid:100", loop, calls=[limited]))[0] in ("unknown", "none")
    assert verdict(process("pid:100", loop, calls=[waits(100, "event", "epoll_wait")]))[0] == "lost-wakeup"


def test_a_server_that_waits_for_clients_is_no_silent_source() -> None:
    serves = stack(MAIN, f"serve_forever {PY}socketserver.py:232", f"select {PY}selectors.py:415", "poll @libc.so.6")
    listening = Connection("0.0.0.0:80", "", "LISTEN")
    server = process("pid:100", serves, connections=(listening,), listens=("0.0.0.0:80",))
    assert verdict(server)[0] in ("none", "unknown")


def test_who_serves_the_other_end_itself_waits_for_nothing_outside() -> None:
    """GIVEN a rank that asks a server in its own process, THEN nobody says that the other end is unknown."""
    asks = waits(200, "socket", "recvfrom", "127.0.0.1:46210 -> 127.0.0.1:58905", peer="worker:1")
    ranks = (process("worker:0", IN_ALL_REDUCE), process("worker:1", DOWNLOADS, pid=200, calls=[asks], watched=60.0))
    found = explain(Collection(1.0, 2.0, ranks))[1]
    assert found.culprits[0].rank == "worker:1" and "worker:0 waits for it" in found.culprits[0].why
    assert not any("no process of the job" in fact.fact for one in found.findings for fact in one.evidence)
