"""Where threads stand, read off stacks as public reports have them: operation, wait, whose code, what is idle."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from diagnostics.model import (
    BlockingCall,
    Collection,
    Collective,
    Frame,
    Process,
    Role,
    Sample,
    Thread,
    ThreadSample,
    WaitKind,
)
from diagnostics.pipeline import explain
from diagnostics.stacks import stand, symbols
from diagnostics.stacks.position import classify, main_position, threads_with
from diagnostics.stacks.symbol import Owner


def frames(text: str) -> tuple[Frame, ...]:
    """Lines as py-spy writes them, innermost first; a native frame has a library and no line."""
    found = []
    for line in reversed(text.strip().splitlines()):
        function, _, place = line.strip().rstrip(")").rpartition(" (")
        file, _, number = place.rpartition(":")
        found.append(Frame(function, file, int(number)) if number.isdigit() else Frame(function, place, native=True))
    return tuple(found)


def process(*threads: str, **facts: object) -> Process:
    made = tuple(Thread(tid, f"thread-{tid}", frames(text)) for tid, text in enumerate(threads, 1))
    return classify(Process("worker:0", 1, "host", threads=made, **facts))  # type: ignore[arg-type]


SITE = "/opt/venv/lib/python3.12/site-packages"
STANDARD = "/usr/lib/python3.12"


@pytest.mark.parametrize(
    ("stack", "place", "own"),
    [
        # The user's own code, however it was started.
        (
            f"wait ({STANDARD}/threading.py:355)\nstep (/home/me/train.py:31)\n<module> (train.py:99)",
            "step (train.py:31)",
            True,
        ),
        (
            f"sleep (/srv/job/a/b.py:3)\nspawn_main ({STANDARD}/multiprocessing/spawn.py:122)\n<module> (<string>:1)",
            "sleep (b.py:3)",
            True,
        ),
        # A company's package that is installed beside the frameworks.
        (
            f"all_reduce ({SITE}/torch/distributed/distributed_c10d.py:2000)\nsync ({SITE}/acme/trainer.py:7)",
            "sync (trainer.py:7)",
            True,
        ),
        # A launcher is nobody's code.
        (f"run ({SITE}/torch/distributed/run.py:900)\n<module> (/opt/venv/bin/torchrun:8)", "run (run.py:900)", False),
        # A framework that has the loop, where there is nothing of the user's.
        (
            f"synchronize ({SITE}/torch/cuda/streams.py:9)\nstep ({SITE}/vllm/v1/engine/core.py:4)",
            "step (core.py:4)",
            False,
        ),
        # Typed into a notebook.
        (f"get ({STANDARD}/queue.py:171)\ntrain (/tmp/ipykernel_31/12.py:4)", "train (12.py:4)", True),
        ("fit (<ipython-input-4-1234>:2)\n<module> (<ipython-input-5-99>:1)", "fit (<ipython-input-4-1234>:2)", True),
        # A user's file that is called like one of the standard library's.
        ("get (/home/me/project/queue.py:12)\nmain (/home/me/project/main.py:3)", "get (queue.py:12)", True),
        # A plain C program, and one in Go.
        (
            "__lll_lock_wait (libc.so.6)\npthread_mutex_lock (libc.so.6)\nfeed (server)\nmain (server)",
            "feed (server)",
            True,
        ),
        (
            "runtime.futex (app)\nsync.runtime_SemacquireMutex (app)\nsync.(*Mutex).lockSlow (app)\nmain.flush (app)",
            "main.flush (app)",
            True,
        ),
    ],
)
def test_the_users_frame_is_the_innermost_of_his_own_code(stack: str, place: str, own: bool) -> None:
    position = main_position(process(stack))
    assert position
    assert (position.place, position.own) == (place, own)


@pytest.mark.parametrize(
    ("stack", "operation", "waits", "role"),
    [
        (
            f"all_reduce ({SITE}/torch/distributed/distributed_c10d.py:3068)\n"
            f"wrapper ({SITE}/torch/distributed/c10d_logger.py:83)"
            "\nstep (train.py:9)",
            "all_reduce",
            WaitKind.COLLECTIVE,
            Role.COLLECTIVE,
        ),
        (
            "accept (libc.so.6)\n"
            "bootstrapInit (libnccl.so.2)\n"
            "ncclCommInitRankFunc (libnccl.so.2)\n"
            "c10d::ProcessGroupNCCL::allreduce (libtorch_cuda.so)"
            f"\n"
            f"all_reduce ({SITE}/torch/distributed/distributed_c10d.py:3068)\n"
            f"step (train.py:9)",
            "all_reduce",
            WaitKind.COLLECTIVE,
            Role.RENDEZVOUS,
        ),
        (
            "sched_yield (libc.so.6)\n"
            "??? (libcuda.so.535.54)\n"
            "cudaLaunchKernel (libcudart.so.12)\n"
            "at::native::fill_kernel_cuda (libtorch_cuda.so)\n"
            "step (t.py:4)",
            "kernel launch",
            WaitKind.DEVICE,
            Role.DEVICE_LAUNCH,
        ),
        (
            f"all_gather_coalesced ({SITE}/deepspeed/runtime/zero/partition_parameters.py:1254)\n"
            f"fetch_sub_module ({SITE}/deepspeed/runtime/zero/"
            "partitioned_param_coordinator.py:386)\n"
            "main (train.py:40)",
            "collective of ZeRO",
            WaitKind.COLLECTIVE,
            Role.COLLECTIVE,
        ),
        (
            f"poll ({SITE}/zmq/sugar/poll.py:106)\n"
            f"dequeue ({SITE}/vllm/distributed/device_communicators/shm_broadcast.py:779)\n"
            f"worker_busy_loop ({SITE}/vllm/"
            "v1/executor/multiproc_executor.py:973)",
            "next request",
            WaitKind.CONDITION,
            Role.IDLE,
        ),
        (
            f"sleep_impl (x)\n"
            f"wait ({SITE}/torch/utils/file_baton.py:50)\n"
            f"_jit_compile ({SITE}/torch/utils/cpp_extension.py:2156)\n"
            f"build (ops.py:3)",
            "FileBaton.wait",
            WaitKind.FILE,
            Role.FILE_LOCK,
        ),
        (
            f"join ({STANDARD}/multiprocessing/process.py:149)\n"
            f"_shutdown_workers ({SITE}/torch/utils/data/dataloader.py:1600)\n"
            f"__next__ ({SITE}/torch/utils/data/"
            "dataloader.py:700)\nevaluate (train.py:8)",
            "DataLoader's shutdown",
            WaitKind.CHILD,
            Role.TEARDOWN,
        ),
        (
            "opal_progress (libopen-pal.so.40)\n"
            "mca_pml_ob1_recv (mca_pml_ob1.so)\n"
            "PMPI_Gather (libmpi.so.40)\n"
            "solve (solver)",
            "MPI_Gather",
            WaitKind.COLLECTIVE,
            Role.COLLECTIVE,
        ),
        (
            f"_value ({SITE}/jax/_src/array.py:630)\n__float__ ({SITE}/jax/_src/array.py:300)\nlog (train.py:70)",
            "block_until_ready",
            WaitKind.DEVICE,
            Role.DEVICE,
        ),
        (
            f"get_objects ({SITE}/ray/_private/worker.py:900)\n"
            f"get ({SITE}/ray/_private/worker.py:2700)\n"
            f"main (driver.py:5)",
            "ray.get",
            WaitKind.WORLD,
            Role.POOL_WAIT,
        ),
        (
            "pthread_cond_timedwait (libc.so.6)\n"
            "take_gil (libpython3.11.so.1.0)\n"
            "PyGILState_Ensure (libpython3.11.so.1.0)\n"
            "pybind11::gil_scoped_acquire (libx.so)",
            "interpreter lock",
            WaitKind.GIL,
            None,
        ),
        (
            "syscall (libc.so.6)\n"
            "absl::lts_20240722::synchronization_internal::FutexWaiter::Wait (libtensorflow_cc.so.2)\n"
            "absl::lts_20240722::CondVar::WaitCommon"
            " (libtensorflow_cc.so.2)\n"
            "tensorflow::DirectSession::WaitForNotification (libtensorflow_cc.so.2)\n"
            "step (t.py:3)",
            "Session.run",
            WaitKind.STEP,
            Role.STEP,
        ),
        ("rpc_wait_bit_killable ([kernel])\nnfs4_do_open ([kernel])", "file on NFS", WaitKind.FILE, None),
    ],
)
def test_operations_have_the_names_that_people_use(
    stack: str, operation: str, waits: WaitKind, role: Role | None
) -> None:
    (position,) = process(stack).positions
    assert (position.operation, position.waits) == (operation, waits)
    assert role is None or position.has(role)


@pytest.mark.parametrize(
    "stack",
    [
        f"wait ({STANDARD}/threading.py:355)\n"
        f"_feed ({STANDARD}/multiprocessing/queues.py:251)\n"
        f"run ({STANDARD}/threading.py:1012)",
        f"wait ({STANDARD}/threading.py:359)\nwait ({STANDARD}/threading.py:655)\nrun ({SITE}/tqdm/_monitor.py:60)",
        "pthread_cond_timedwait (libc.so.6)\nc10d::ProcessGroupNCCL::HeartbeatMonitor::runLoop (libtorch_cuda.so)",
        "poll (libc.so.6)\nncclProxyService (libnccl.so.2)\nstart_thread (libc.so.6)",
        "poll (libc.so.6)\n??? (libcuda.so.580.159)\n??? (libcuda.so.580.159)\nstart_thread (libc.so.6)",
        "pthread_cond_wait (libc.so.6)\nblas_thread_server (libopenblas.so.0)\nstart_thread (libc.so.6)",
        "nsync::nsync_cv_wait (libtf.so)\n"
        "Eigen::NonBlockingThreadPoolTempl<T>::WaitForWork (libtf.so)\n"
        "Eigen::NonBlockingThreadPoolTempl<T>::WorkerLoop (libtf.so)",
        f"_worker ({STANDARD}/concurrent/futures/thread.py:89)\nrun ({STANDARD}/threading.py:1012)",
        f"poll ({STANDARD}/multiprocessing/connection.py:257)\n"
        f"get ({STANDARD}/multiprocessing/queues.py:113)\n"
        f"_worker_loop ({SITE}/torch/utils/data/_utils/worker.py:2)",
        "epoll_wait (libc.so.6)\nepoll_dispatch (libevent_core-2.1.so.7)\nevent_base_loop (libevent_core-2.1.so.7)",
    ],
)
def test_helper_threads_without_work_are_idle_and_support_nothing(stack: str) -> None:
    stuck = "read (libc.so.6)\nload (train.py:3)"
    seen = process(stack, stuck)
    assert [position.has(Role.IDLE, Role.PROXY) for position in seen.positions] == [True, False]
    assert main_position(seen) == seen.positions[1]


@pytest.mark.parametrize(
    "stack",
    [
        f"task (/home/me/job.py:3)\n"
        f"run ({STANDARD}/concurrent/futures/thread.py:59)\n"
        f"_worker ({STANDARD}/concurrent/futures/thread.py:93)",
        f"__getitem__ (/home/me/data.py:3)\n"
        f"fetch ({SITE}/torch/utils/data/_utils/fetch.py:54)\n"
        f"_worker_loop ({SITE}/torch/utils/data/_utils/worker.py:2)",
        "nsync::nsync_cv_wait (libtf.so)\n"
        "tensorflow::UnstageOp::Compute (libtf.so)\n"
        "Eigen::NonBlockingThreadPoolTempl<T>::WorkerLoop (libtf.so)",
    ],
)
def test_helper_threads_at_work_are_not_idle(stack: str) -> None:
    (position,) = process(stack).positions
    assert not position.has(Role.IDLE)
    assert position.has(Role.POOL_TASK, Role.INPUT_MAKE, Role.OPERATION)


def test_a_forked_child_stands_in_its_own_code_not_in_its_parents() -> None:
    child = (
        f"lock_PyThread_acquire_lock (libpython3.12.so.1.0)\n"
        f"count (/job/train.py:9)\n"
        f"_bootstrap ({STANDARD}/multiprocessing/process.py:314)"
        f"\n"
        f"_launch ({STANDARD}/multiprocessing/popen_fork.py:71)\n"
        f"start ({STANDARD}/multiprocessing/process.py:121)\n"
        f"main (/job/train.py:40)"
    )
    (position,) = process(child).positions
    assert position.place == "count (train.py:9)"
    assert position.waits is WaitKind.LOCK
    assert position.has(Role.FORKED)
    idle = (
        f"get ({STANDARD}/multiprocessing/queues.py:103)\n_worker_loop ({SITE}/torch/utils/data/_utils/worker.py:2)\n"
    ) + "\n".join(child.splitlines()[2:])
    (position,) = process(idle).positions
    assert position.has(Role.IDLE)
    assert not position.own


def test_a_finalizer_and_a_signal_handler_in_mid_stack_are_seen() -> None:
    finalizer, handler = process(
        "acquire_timed (libpython3.9.so)\n__del__ (/job/cache.py:8)\nstep (/job/train.py:3)",
        f"acquire_timed (libpython3.9.so)\n"
        f"on_term (/job/train.py:5)\n"
        f"wait ({STANDARD}/threading.py:302)\n"
        f"get ({STANDARD}/queue.py:170)\n"
        f"main (/job/train.py:30)",
    ).positions
    assert finalizer.has(Role.FINALIZER)
    assert handler.has(Role.SIGNAL_HANDLER)
    assert handler.place == "on_term (train.py:5)"


def test_the_holder_of_the_interpreter_lock_is_named_with_what_it_does() -> None:
    threads = (
        Thread(
            1,
            "main",
            frames("cuCtxSynchronize (libcuda.so.1)\ncudaDeviceSynchronize (libcudart.so.12)\nsync (t.py:4)"),
            True,
        ),
        Thread(
            2,
            "cb",
            frames("pthread_cond_timedwait (libc.so.6)\ntake_gil (libpython3.12.so)\n_ctypes_callback (_ctypes.so)"),
        ),
    )
    seen = classify(Process("worker:0", 1, "host", threads=threads))
    waiting = seen.positions[1]
    assert waiting.holder == 1
    assert waiting.waits_for == "the interpreter lock, which thread 1 (main) holds in device synchronize"
    assert seen.positions[0].waits_for == "the device, in cuCtxSynchronize"


def test_the_kernels_view_adds_the_object() -> None:
    seen = process(
        "read (libc.so.6)\nrows (/job/train.py:3)",
        "__lll_lock_wait (libc.so.6)\nflush (server)",
        blocking_calls=(
            BlockingCall(1, "read", "pipe", "pipe:[9]", others=(77,)),
            BlockingCall(2, "futex", "mutex", "0x10", holder=1),
        ),
    )
    reads, locks = seen.positions
    assert (reads.waits, reads.waits_for) == (WaitKind.PIPE, "read on a pipe whose other end is open in process 77")
    assert (locks.waits, locks.holder) == (WaitKind.LOCK, 1)
    assert "thread 1 (thread-1) holds" in locks.waits_for


def test_a_thread_without_a_stack_stands_where_the_kernel_says() -> None:
    sample = Sample(0.0, (ThreadSample(1, "io", "D", 0.0, 0, 0, wchan="rpc_wait_bit_killable"),))
    (position,) = classify(Process("worker:0", 1, "host", threads=(Thread(1),), samples=(sample,))).positions
    assert (position.operation, position.waits) == ("file on NFS", WaitKind.FILE)
    call = BlockingCall(1, "recvfrom", "socket", "10.0.0.1:4 -> 10.0.0.2:5", peer="worker:1")
    (position,) = classify(Process("worker:0", 1, "host", threads=(Thread(1),), blocking_calls=(call,))).positions
    assert (position.operation, position.waits) == ("recvfrom", WaitKind.SOCKET)
    assert "worker:1" in position.waits_for


def test_a_rank_without_stacks_stands_where_its_framework_recorded_it() -> None:
    called = frames("step (/job/train.py:9)")
    recorded = Collective("default_pg", 917, "_ALLGATHER_BASE", state="started", frames=called)
    earlier = Collective("default_pg", 916, "ALLREDUCE", state="completed")
    position = main_position(Process("worker:0", 0, "", collectives=(earlier, recorded)))
    assert position
    assert (position.operation, position.group, position.number) == ("all_gather_into_tensor", "default_pg", 917)
    assert position.place == "step (train.py:9)"


def test_a_step_that_workers_share_is_a_collective_only_where_there_are_others() -> None:
    caller = (
        "nsync::nsync_cv_wait (libtf.so)\ntensorflow::ProcessFunctionLibraryRuntime::RunSync (libtf.so)\nstep (t.py:3)"
    )
    server = "pthread_cond_wait (libc.so.6)\ntensorflow::eager::EagerServiceImpl::Loop (libtf.so)"
    assert threads_with(process(caller, server), Role.COLLECTIVE)
    assert not threads_with(process(caller), Role.COLLECTIVE)


@pytest.fixture
def forgotten() -> Iterator[None]:
    """Tables are read anew, before and after."""
    kept = (symbols._load, symbols.meanings, symbols.owner_of, stand.stand_of)
    for cache in kept:
        cache.cache_clear()
    yield
    for cache in kept:
        cache.cache_clear()


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize("text", ["raise RuntimeError('no')", "SYMBOLS = (native(r'(unclosed'),)", "nothing = 1"])
def test_a_broken_table_costs_only_itself(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GIVEN a table that raises, or that cannot be compiled, THEN the others still answer, and it is named."""
    (tmp_path / "broken_table.py").write_text(f"from diagnostics.stacks.symbol import native\n{text}\n")
    monkeypatch.setattr(symbols, "__path__", [*symbols.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, f"{symbols.__name__}.broken_table", raising=False)
    waits = Thread(1, "MainThread", frames(f"get ({STANDARD}/queue.py:171)\nstep (/home/me/train.py:31)"))
    collection, diagnosis = explain(Collection(0.0, 0.0, (Process("worker:0", 1, "host", threads=(waits,)),)))
    assert [error.stage for error in diagnosis.errors] == ["symbols broken_table"]
    assert [position.operation for position in collection.processes[0].positions] == ["Queue.get"]


@pytest.mark.usefixtures("forgotten")
def test_every_table_is_read() -> None:
    assert symbols.broken() == ()
    names = {table.name for table in symbols.tables()}
    assert {"libc", "cpython", "tensorflow", "torch", "nccl", "cuda", "jax", "kernel"} <= names
    assert all(isinstance(table.owner, Owner) for table in symbols.tables())
