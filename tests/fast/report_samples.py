"""Collections and diagnoses to draw: the last-batch hang as observed, a loader's of eight ranks, and quiet ones."""

from __future__ import annotations

from diagnostics.model import (
    Attempt,
    Collection,
    Connection,
    Culprit,
    Diagnosis,
    Event,
    Evidence,
    Finding,
    Flight,
    Frame,
    OpenSpan,
    Position,
    Process,
    RankClass,
    Role,
    Sample,
    StackNode,
    State,
    Thread,
    ThreadSample,
    Versions,
    Wait,
    WaitKind,
)
from diagnostics.model.trace import TraceResult, TraceVerdict

WALL = 1_714_557_731.0
MONO = 80_412.0
HANG = 31.2
SESSION = "/opt/tf/lib/python3.6/site-packages/tensorflow/python/client/session.py"
TF = "_pywrap_tensorflow_internal.so"


def native(*functions: str, file: str = TF) -> tuple[Frame, ...]:
    return tuple(Frame(function, file, native=True) for function in functions)


START = native("clone", "start_thread", file="libpthread-2.28.so")
CLIENT = (
    Frame("<module>", "/srv/job/repro/nodes/last_batch.py", 76),
    Frame("main", "/srv/job/repro/nodes/last_batch.py", 71),
    Frame("train_epoch", "/srv/job/repro/nodes/last_batch.py", 38),
    Frame("run", SESSION, 929),
    Frame("_run", SESSION, 1152),
    Frame("_do_run", SESSION, 1328),
    Frame("_call_tf_sessionrun", SESSION, 1407),
    *native(
        "TF_SessionRun", "tensorflow::GrpcSession::Run", "tensorflow::GrpcSession::RunProto",
        "tensorflow::LocalMaster::RunStep", "tensorflow::Notification::WaitForNotification",
        "nsync::nsync_cv_wait",
    ),
    *native("pthread_cond_wait", file="libpthread-2.28.so"),
)  # fmt: skip
SERVER = (
    Frame("<module>", "/srv/job/repro/nodes/last_batch.py", 76),
    Frame("main", "/srv/job/repro/nodes/last_batch.py", 55),
    Frame("join", "/opt/tf/lib/python3.6/site-packages/tensorflow/python/training/server_lib.py", 164),
    *native("PyServer_Join", "tensorflow::GrpcServer::Join", "std::thread::join"),
)
RPC_LOOP = START + native(
    "tensorflow::(anonymous namespace)::GrpcWorkerService::HandleRPCsLoop",
    "grpc::CompletionQueue::AsyncNextInternal", "grpc_completion_queue_next", "cq_next", "pollset_work",
    "epoll_wait",
)  # fmt: skip
POOL = START + native(
    "tensorflow::thread::EigenEnvironment::CreateThread", "Eigen::NonBlockingThreadPoolTempl::WorkerLoop",
    "Eigen::NonBlockingThreadPoolTempl::WaitForWork", "Eigen::EventCount::CommitWait", "nsync::nsync_cv_wait",
)  # fmt: skip
MASTER = START + native(
    "tensorflow::Master::RunStep", "tensorflow::MasterSession::DoRunWithLocalExecution",
    "tensorflow::MasterSession::ReffedClientGraph::RunPartitionsHelper", "tensorflow::BlockingCounter::Wait",
    "nsync::nsync_cv_wait",
)  # fmt: skip


def merge(collection: Collection) -> tuple[StackNode, ...]:
    """A prefix tree of all stacks, as the analysis makes it."""
    stacks = [(process.rank, thread.frames) for process in collection.processes for thread in process.threads]
    return _merge(stacks)


def _merge(stacks: list[tuple[str, tuple[Frame, ...]]]) -> tuple[StackNode, ...]:
    heads: dict[tuple[str, str, bool], list[tuple[str, tuple[Frame, ...]]]] = {}
    for rank, frames in stacks:
        if frames:
            head = frames[0]
            heads.setdefault((head.function, head.file, head.native), []).append((rank, frames[1:]))
    return tuple(
        StackNode(
            function, file, is_native, tuple(sorted({rank for rank, _ in rest})), len(rest), _merge(rest)
        )
        for (function, file, is_native), rest in heads.items()
    )


def flight_of_worker() -> Flight:
    """One batch an epoch; every epoch ends in a failed step, and the last of those has not come back."""
    events = []
    at = 0.0
    step = 4_372

    def record(kind: str, epoch: int, value: int = 0, label: str = "") -> None:
        events.append(Event(MONO + at, WALL + at, kind, step, epoch, value, label, thread=4120))

    for epoch in range(2_186, 2_207):
        record("epoch_begin", epoch, value=epoch + 1)
        record("step_begin", epoch)
        at += 0.0181 + 0.004 * (epoch % 3)
        record("step_end", epoch, value=1)
        step += 1
        at += 0.0008
        record("step_begin", epoch)
        if epoch == 2_206:
            break
        at += 0.0062 + 0.0015 * (epoch % 2)
        record("step_end", epoch, value=-1)
        record("end_of_sequence", epoch, value=epoch + 1)
        at += 0.0004
        record("epoch_end", epoch, value=epoch + 1)
        step += 1
        at += 0.0021
        if epoch == 2_199:
            record("save_begin", epoch, value=12, label="model.ckpt")
            at += 0.034
            record("save_end", epoch, value=12, label="model.ckpt")
    return Flight(
        rank="worker:0",
        runtime="tf1.12.0",
        events=tuple(events),
        open=(OpenSpan("step", HANG, step, 2_206), OpenSpan("epoch", HANG + 0.024, step, 2_206)),
        epoch_ends=2_206,
        steps=step,
        last_epoch=2_206,
        last_batch=0,
        last_rows=1,
        read_at=MONO + at + HANG,
        typical_step=0.0185,
    )


def samples(pid: int, threads: int, moving: int = 0) -> tuple[Sample, ...]:
    return tuple(
        Sample(
            at=MONO + HANG - 4 + 2.5 * look,
            threads=tuple(
                ThreadSample(
                    pid + index, "python" if index == 0 else "grpcpp_sync_ser", "S",
                    cpu=14.25 + 0.01 * look * (index < moving), voluntary=811_204 + look * (index < moving),
                    involuntary=92, wchan="futex_wait_queue", syscall=202,
                )
                for index in range(threads)
            ),
            socket_bytes=181_203_118,
            step=4_413,
            events=4_096,
        )
        for look in range(2)
    )  # fmt: skip


def last_batch_hang() -> tuple[Collection, Diagnosis]:
    """worker:0 waits in LocalMaster::RunStep for a tensor that ps:2 will never produce; four servers idle."""
    versions = Versions("3.6.15", "tensorflow", "1.12.0", "glibc 2.28", "6.18.0")
    worker = Process(
        rank="worker:0", pid=4120, host="node-a", state=State.HUNG,
        state_why="in step 4,413 for 31.2 s; a step takes 18 ms; nothing moved between two samples 2.5 s apart",
        stacks_from="pystack", pause=0.412,
        command=("python", "-m", "repro.nodes.last_batch", "/run/lastbatch/worker:0/orders.json"),
        threads=(
            Thread(4120, "python", CLIENT),
            Thread(4121, "python", MASTER),
            *(Thread(4122 + index, "grpcpp_sync_ser", RPC_LOOP) for index in range(9)),
            *(Thread(4131 + index, "python", POOL) for index in range(24)),
        ),
        samples=samples(4120, 35, moving=1),
        connections=tuple(
            Connection(
                f"127.0.0.1:{40112 + 2 * index}", f"127.0.0.1:{20001 + index}", "ESTABLISHED", f"ps:{index}",
                last_sent=31.19 + 0.001 * index, last_received=31.18 if index != 2 else 31.21,
                bytes_sent=9_412_020, bytes_received=35_180_411,
            )
            for index in range(4)
        ),
        listens=("127.0.0.1:20000",), flight=flight_of_worker(),
        log_tail=(
            "2024-05-01 10:01:12.120911: I tensorflow/core/distributed_runtime/rpc/grpc_server_lib.cc:375] "
            "Started server with target: grpc://127.0.0.1:20000",
            "INFO:tensorflow:Graph was finalized.",
            "INFO:tensorflow:epoch 2200 done",
        ),
        versions=versions,
        attempts=(
            Attempt("flight", True, 0.003), Attempt("procfs", True, 0.021),
            Attempt("pystack", True, 3.1, pause=0.412),
        ),
        running_after=True,
    )  # fmt: skip
    servers = tuple(
        Process(
            rank=f"ps:{index}", pid=4090 + index, host="node-a", state=State.UNKNOWN,
            state_why="idle: a server has no steps of its own; no thread used the CPU", stacks_from="pystack",
            pause=0.371 + 0.01 * index,
            command=("python", "-m", "repro.nodes.last_batch", f"ps:{index}.json"),
            threads=(
                Thread(4090 + index, "python", SERVER),
                *(Thread(4091 + index + each, "grpcpp_sync_ser", RPC_LOOP) for each in range(9)),
                *(Thread(4100 + index + each, "python", POOL) for each in range(24)),
            ),
            samples=samples(4090 + index, 34),
            connections=(
                Connection(
                    f"127.0.0.1:{20001 + index}", f"127.0.0.1:{40112 + 2 * index}", "ESTABLISHED", "worker:0",
                    last_sent=31.18 if index != 2 else 31.21, last_received=31.19,
                    bytes_sent=35_180_411, bytes_received=9_412_020,
                ),
            ),
            listens=(f"127.0.0.1:{20001 + index}",), versions=versions,
            attempts=(
                Attempt("flight", False, 0.001, why_not="no recording"), Attempt("procfs", True, 0.018),
                Attempt("pystack", True, 3.0, pause=0.371 + 0.01 * index),
            ),
            running_after=True,
        )
        for index in range(4)
    )  # fmt: skip
    collection = Collection(
        collected_at=WALL + 0.72 + HANG, seconds=16.8, processes=(worker, *servers),
        expected=("worker:0", "ps:0", "ps:1", "ps:2", "ps:3"), skew=12.9,
        scenario={
            "scenario": "last-batch", "arm": "dataset", "runtime": "tf1.12", "ps": "4", "variables": "200",
            "inter_op": "4",
        },
        tool_version="0.1.0",
    )  # fmt: skip
    return collection, last_batch_diagnosis(collection)


def last_batch_diagnosis(collection: Collection) -> Diagnosis:
    best = Finding(
        cause="tf-recv-registered-after-abort",
        family="rendezvous-abort-race",
        confidence=0.88,
        title="A receive registered after the step's abort is never cancelled (TensorFlow before 1.13)",
        evidence=(
            Evidence("The step that hangs follows the last batch of its epoch: it ends in OutOfRange.",
                     "flight recorder", ("worker:0",)),
            Evidence("The client waits in LocalMaster::RunStep; no thread of the worker runs an op.",
                     "pystack", ("worker:0",)),
            Evidence("Every server is alive and idle in HandleRPCsLoop.", "pystack",
                     ("ps:0", "ps:1", "ps:2", "ps:3")),
            Evidence("No byte moved on any connection for 31.2 s; nothing is unacknowledged.", "sock_diag",
                     ("worker:0", "ps:0", "ps:1", "ps:2", "ps:3")),
            Evidence("TensorFlow 1.12.0: neither window of the race is closed.", "version", ("worker:0",)),
        ),
        against=(
            Evidence("No server logged an error, as a cancelled RunGraph sometimes does.", "log", ("ps:2",)),
        ),
        missing=("uprobes on RegisterCall and StartAbort, which would prove which receive escaped",),
        remedy=(
            "Upgrade to TensorFlow 1.13 or later, which closes the wider window; today's close both.",
            "Until then, keep the end of sequence out of the step: repeat the dataset, count batches.",
            "Or set inter_op_parallelism_threads=1 on tf.train.Server; the session's has no effect.",
        ),
        references=(
            "https://github.com/tensorflow/tensorflow/pull/23580",
            "https://github.com/tensorflow/tensorflow/issues/23846",
            "https://github.com/tensorflow/tensorflow/issues/26559",
        ),
    )  # fmt: skip
    other = Finding(
        cause="peer-frozen", family="frozen", confidence=0.06, title="A server is stopped or starved of CPU",
        evidence=(Evidence("No server used the CPU between the two samples.", "procfs", ("ps:0", "ps:1")),),
        against=(Evidence("All servers are in state S and took a signal 0; none is stopped.", "procfs",
                          ("ps:0", "ps:1", "ps:2", "ps:3")),),
        missing=(), remedy=("Look for SIGSTOP, a frozen cgroup, or a debugger that was left attached.",),
    )  # fmt: skip
    return Diagnosis(
        verdict="rendezvous-abort-race",
        summary="worker:0 waits for a tensor that no server will send: its step ended in OutOfRange while "
        "the step's receives were still being started.",
        findings=(best, other),
        next_evidence=("lastbatch trace worker:0: uprobes on RegisterCall, DeregisterCall and StartAbort",),
        waits=tuple(
            Wait("worker:0", f"ps:{index}", "RecvTensor of step 4,413", 31.18 + 0.01 * index)
            for index in range(4)
        ),
        classes=(
            RankClass(("worker:0",), "tensorflow::LocalMaster::RunStep", (State.HUNG,)),
            RankClass(("ps:0", "ps:1", "ps:2", "ps:3"), "tensorflow::GrpcServer::Join", (State.UNKNOWN,)),
        ),
        tree=merge(collection),
    )  # fmt: skip


def eight_ranks(alike: bool = True) -> tuple[Collection, Diagnosis]:
    """Seven ranks in a collective wait for the eighth, whose loader gives no batch. Not alike: each at a place."""

    def rank(index: int) -> Process:
        pid = 4100 + index
        if index == 7:
            place = Position(
                pid, "DataLoader.__next__", "load", "/srv/job/data.py", 118, True, WaitKind.INPUT,
                "the next batch, of its worker process 4211", since=413.0,
            )  # fmt: skip
        else:
            place = Position(
                pid, "all_reduce", "step", "/srv/job/train.py", 44 if alike else 44 + index, True, WaitKind.COLLECTIVE,
                "the other ranks of a collective", roles=(Role.COLLECTIVE,), group="0", number=41, since=412.0,
            )  # fmt: skip
        return Process(
            f"worker:{index}", pid, "node-a", State.HUNG, "nothing moved", 412.0, (place,), "py-spy",
            threads=(Thread(pid, "MainThread", (Frame(place.function, place.file, place.line),)),),
            flight=Flight(f"worker:{index}", "", (), (), 3, 99, last_epoch=3, last_batch=98, last_rows=32),
        )  # fmt: skip

    ranks = tuple(map(rank, range(8)))
    finding = Finding(
        "dataloader-worker-killed", "dataloader-worker", 0.86, "A worker of the DataLoader was killed, and its batch "
        "never comes", (Evidence("worker:7 has no child any more", "procfs", ("worker:7",)),),
        remedy=(
            "Look for the out-of-memory killer in the kernel's log (dmesg), and lower num_workers or the batch's size",
            "Set timeout= on the DataLoader, so that the rank fails within minutes instead of waiting for ever",
            "Upgrade",
        ),
    )  # fmt: skip
    culprit = Culprit(
        "worker:7", 4107, "node-a", 0.9, "the others wait for it in all_reduce number 41", ranks[7].positions[0]
    )
    trace = TraceResult("rendezvous", TraceVerdict.PROVEN, "a receive of worker:0 escaped the abort of its step")
    standing = "worker:0-6 wait for worker:7 (pid 4107) in all_reduce, step (train.py:44)"
    summary = f"{standing}; worker:7 (pid 4107) stands in DataLoader.__next__, load (data.py:118)"
    return Collection(WALL, 4.0, ranks, tool_version="0.1.0", trace=trace), Diagnosis(
        "dataloader-worker", summary, (finding,), (), True, (culprit,), standing=standing
    )


def unknown() -> tuple[Collection, Diagnosis]:
    """The same job, of which less could be seen: no stack of ps:2, ps:3 not found, so nothing is named."""
    collection, diagnosis = last_batch_hang()
    worker, first, second, third, _ = collection.processes
    blocked = Process(
        rank="ps:2", pid=third.pid, host="node-a", state=State.UNKNOWN, stacks_from="",
        why_not="in state D (rpc_wait_bit_killable): never ptraced",
        attempts=(Attempt("pystack", False, 0.0, why_not="in state D"),),
    )  # fmt: skip
    weaker = tuple(
        Finding(
            each.cause, each.family, confidence, each.title, each.evidence[:2], each.against, each.missing,
            each.remedy, each.references,
        )
        for each, confidence in zip(diagnosis.findings, (0.41, 0.2), strict=True)
    )  # fmt: skip
    short = Collection(
        collected_at=collection.collected_at, seconds=4.2, processes=(worker, first, second, blocked),
        expected=collection.expected, tool_version="0.1.0",
    )  # fmt: skip
    return short, Diagnosis(
        verdict="unknown",
        summary="worker:0 hangs in a step, but two of four servers could not be looked at.",
        findings=weaker,
        next_evidence=(
            "Stacks of ps:2: it sleeps uninterruptibly in the kernel; read /proc/PID/stack as root.",
            "Where ps:3 runs: name its host, or attach with --expect.",
            "The framework's version on ps:2.",
        ),
        waits=diagnosis.waits,
        tree=merge(short),
    )


def healthy() -> tuple[Collection, Diagnosis]:
    """Two workers that step while they are looked at."""

    def worker(index: int) -> Process:
        events = []
        for step in range(900, 1_000):
            at = step * 0.05 + 0.004 * index
            events.append(Event(MONO + at, WALL + at, "step_begin", step, 3))
            if step < 999:
                events.append(Event(MONO + at + 0.046, WALL + at + 0.046, "step_end", step, 3, 32))
        return Process(
            rank=f"worker:{index}", pid=700 + index, host="node-b", state=State.PROGRESSING,
            state_why="48 steps between two samples 2.5 s apart", stacks_from="procfs",
            flight=Flight(
                f"worker:{index}", "torch2.3", tuple(events), (OpenSpan("step", 0.02, 999, 3),), 3, 999,
                last_epoch=3, last_batch=998, last_rows=32, read_at=MONO + 49.97 + 0.004 * index,
                typical_step=0.046,
            ),
            samples=samples(700 + index, 6, moving=4),
        )  # fmt: skip

    collection = Collection(WALL + 49.98, 2.7, (worker(0), worker(1)), tool_version="0.1.0")
    return collection, Diagnosis("none", "Every rank makes steps.", (), ())


def empty() -> tuple[Collection, Diagnosis]:
    return Collection(0.0, 0.0, ()), Diagnosis("unknown", "", (), ())
