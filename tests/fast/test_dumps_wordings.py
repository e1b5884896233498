"""Kinds of paste that public reports had and that were misread once, each in words and numbers of its own."""

from __future__ import annotations

import json

import pytest

from diagnostics import importers, pipeline
from diagnostics.analyze.progress import Limits
from diagnostics.importers.lines import lines_of
from diagnostics.model import LogFact
from diagnostics.report.document import as_json


def facts_of(text: str) -> list[LogFact]:
    return [fact for process in importers.imported(text.encode(), "x.log").processes for fact in process.facts]


def words_of(text: str) -> str:
    return "\n".join(fact.words for fact in facts_of(text))


def answer(text: str) -> tuple[str, str]:
    """The family that is named, "unknown" for none, and the whole answer."""
    collection, diagnosis = pipeline.explain(
        importers.collection_of([importers.imported(text.encode(), "x.txt")]), Limits()
    )
    best = diagnosis.findings[0] if diagnosis.findings else None
    named = best.family if best and best.confidence > 0.5 else "unknown"
    return named, json.dumps(as_json(collection, diagnosis, None))


def test_mpiruns_tag_stands_also_within_a_line() -> None:
    lines = lines_of("[1,2]<stdout>:step 4[1,2]<stdout>:17 lo[1,2]<stdout>:ss 0.3\n[1,3]:a[1,3] = b")
    assert [(line.source, line.text) for line in lines] == [
        ("worker:2", "step 417 loss 0.3"),
        ("worker:3", "a[1,3] = b"),
    ]


def test_horovodruns_time_needs_no_space_before_its_tag() -> None:
    (line,) = lines_of("Sun Feb  7 08:17:46 2021[3]<stderr>:Traceback (most recent call last):")
    assert (line.source, line.text) == ("worker:3", "Traceback (most recent call last):")


def test_a_wait_for_a_program_of_xla_may_be_a_collective_of_it() -> None:
    """GIVEN one rank that waits for a result of JAX, THEN nobody says that its device does not answer."""
    stack = "    _value (jax/_src/array.py:642)\n    __float__ (jax/_src/array.py:300)\n    main (train.py:12)\n"
    family, given = answer('Process 5: python train.py\n\nThread 5 (idle): "MainThread"\n' + stack)
    assert family == "unknown" and "train.py" in given


def test_a_list_of_stalled_tensors_may_begin_anywhere() -> None:
    """GIVEN the middle of Horovod's list, THEN who is missing is said; of ranks that came, the gaps are who did not."""
    (fact,) = facts_of("HorovodAllreduce_grads_w_0 [missing ranks: 4, 6]\n")
    assert fact.about == ("worker:4", "worker:6")
    (fact,) = facts_of("Stalled ops:\ngrad.fc.bias [ready ranks: 3, 0, 4]\n")
    assert fact.about == ("worker:1", "worker:2") and "any above" in fact.words
    assert not facts_of("print(x [missing values: 4])\n" + "Socket Timeout\n")[0].about


@pytest.mark.parametrize("closed", [True, False])
def test_the_recorders_report_says_who_did_not_come(closed: bool) -> None:
    report = (
        "Not all ranks joining collective: sequence number: 902\ninternal record id: 31\ngroup info: 4:tp\n"
        f"collective: nccl:all_gather\nmissing ranks: {{1, 12{'}' if closed else ''}\ncollective state: started\n"
        "collective stack trace:\n gather at /srv/x/torch/distributed/c10d.py:27\nshare at /srv/x/model/parallel.py:9\n"
    )
    (fact,) = facts_of(report)
    assert "all_gather 902" in fact.words and "share (parallel.py:9)" in fact.words
    assert fact.values["function"] == "share"
    assert fact.about == (("worker:1", "worker:12") if closed else ()), (
        "a list that was cut may have lost half a number"
    )


def test_one_thread_of_a_dump_is_not_all_that_there_is() -> None:
    """GIVEN a wait that nobody in the paste could end, WHEN the paste is a selection, THEN no notification was lost."""
    stack = "    wait (threading.py:302)\n    get (queue.py:170)\n    batches (feed.py:64)\n    main (train.py:7)\n"
    alone, _ = answer('Thread 0x7FA6 (idle): "MainThread"\n' + stack)
    raised, _ = answer(
        'Traceback (most recent call last):\n  File "/srv/feed.py", line 64, in batches\n    q.get()\n'
        '  File "/usr/lib/python3.12/queue.py", line 170, in get\n    self.not_empty.wait()\n'
        '  File "/usr/lib/python3.12/threading.py", line 302, in wait\n    waiter.acquire()\nRuntimeError: cancelled\n'
    )
    whole, _ = answer('Process 7: python train.py\nPython v3.11.2\n\nThread 7 (idle): "MainThread"\n' + stack)
    assert (alone, raised, whole) == ("unknown", "unknown", "lost-wakeup")


def test_remarks_and_signs_beside_frames_are_no_part_of_them() -> None:
    _, marked = answer("#0  spin_here ()      <== looks stuck\n#1  cuEventQuery () from /lib/libcuda.so.1  // driver\n")
    assert "looks stuck" not in marked.split('"position"')[1].split("}")[0] and "spin_here ()" not in marked
    family, ticked = answer(
        '`  File "run.py", line 3, in <module>`\n  `  ops = load("ops")`\n'
        '` File "/srv/lib/python3.9/site-packages/torch/utils/cpp_extension.py", line 1371, in _jit_compile`\n'
        '   `baton.wait()`\n`  File "/srv/lib/python3.9/site-packages/torch/utils/file_baton.py", line 42, in wait`\n'
        "  `  time.sleep(1)`\n`KeyboardInterrupt`\n"
    )
    assert family == "stale-lock-file" and "run.py" in ticked


def test_python_seen_from_gdb_is_innermost_first_also_without_its_head() -> None:
    _, given = answer(
        '  Waiting for the GIL\n  File "/srv/inner.py", line 5, in put\n    q.put(x)\n'
        "  <built-in method f of X object at remote 0x7f>\n"
        '  File "/srv/outer.py", line 9, in main\n    put()\n'
    )
    assert "inner.py" in given.split('"position"')[1].split("}")[0] and "interpreter lock" in given


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "NVRM: The NVIDIA GPU 0000:1a:00.0\n  NVRM: (PCI ID: 10de:2330) installed here has\n"
            "  NVRM: fallen off the bus and",
            "0000:1a:00.0",
        ),
        (
            "Memory access fault by GPU node-3 (Agent handle: 0x1) on address 0x7f. Page not present.",
            "GPU node 3",
        ),
        ("RayWorkerProc rank=[5] died unexpectedly, shutting down executor.", "rank=[5]"),
        (
            "[2024-05-02 01:02:03,004] [ERROR] [launch.py:325:sigkill_handler] ['python', '-u', 'a.py'] exits with "
            "return code = -7",
            "exit code -7",
        ),
        (
            "PRTE has lost communication with a remote daemon.\n\n  HNP daemon   : [[1,0],0] on node a-0\n"
            "  Remote daemon: [[1,0],3] on node b-7",
            "b-7",
        ),
        (
            "n1:77:80 [2] NCCL INFO ReduceScatter: opCount a1 sendbuff 0x1 recvbuff 0x2 count 64 datatype 7 op 0 "
            "root 0 comm 0x5 [nranks=16] stream 0x3",
            "ReduceScatter 0xa1",
        ),
        (
            "[rank4]:[E1 00:00:01 ProcessGroupNCCL.cpp:1709] [PG 2 (dp_group) Rank 1] Timeout at NCCL work: 88, last",
            "collective 88",
        ),
        (
            "W0101 10:00:00.1 7 grpc_client.cc:280] Get name:[w], ep:[10.0.0.9:6174], status:[-1] meets grpc "
            "error:Connect Failed",
            "10.0.0.9:6174",
        ),
        (
            "EI0002: The Notify register has not received the Notify record from remote rank: [7]. tag[AllGather_h_3]",
            "AllGather",
        ),
        (
            "[I ProcessGroupWrapper.cpp:587] [Rank 6] Running collective: CollectiveFingerPrint(SequenceNumber=31, "
            "OpType=REDUCE, TensorShape=[8], T",
            "REDUCE 31",
        ),
        ("[07:01:02] src/van.cc:9: control={ cmd=ADD_NODE, node={ role=worker, ip=10.0.0.8, port=4, i", "10.0.0.8:4"),
        ("Waiting for workers to connect: 3/16 (40 seconds passed)", "3 of 16 workers"),
        ("INFO shard-manager: launcher: Waiting for shard 2 to be ready... rank=2", "rank 2 is not ready"),
        ("ERROR Shard process was signaled to shutdown with signal 9 rank=5", "rank 5 was ended by signal 9"),
        ("OSError: Timed out trying to connect to 'tls://10.0.0.3:8786' after 30 s", "10.0.0.3:8786 within 30 s"),
        ("[PG 7 Rank 2] Future for ProcessGroup abort timed out after 1000 ms", "did not end within 1000 ms"),
        ("[Gloo] Rank 1 is connected to 2 peer ranks. Expected number of connected peer ranks is : 3", "2 of 3 others"),
        ("ValueError: host not found: Name or service not known", "could not be resolved"),
        ("Worker process 77 exit with exception.", "process 77 ended"),
        ("Time out nodes are ['5', '6']", "nodes '5', '6'"),
        ("Container rank 3 status failed cmd ['python', 'a.py'] code -9 log log/workerlog.3", "rank 3 ended with"),
        (
            "The worker group startup timed out after 60.0 seconds waiting for 12 workers. Potential causes",
            "12 workers",
        ),
    ],
)
def test_wordings(line: str, said: str) -> None:
    assert said in words_of(line + "\n")


def test_syslogs_lines_of_the_kernel_are_its_own() -> None:
    """GIVEN a hung task in a host's log, THEN where it waits is read as from dmesg; what it opens may be a FIFO."""
    log = (
        "Feb  3 04:05:06 gpu-9 kernel: INFO: task python:{pid} blocked for more than 120 seconds.\n"
        "Feb  3 04:05:06 gpu-9 kernel: Call Trace:\n"
        "Feb  3 04:05:06 gpu-9 kernel: [<ffffffff8168c889>] schedule+0x29/0x70\n"
        "Feb  3 04:05:06 gpu-9 kernel: [<ffffffff8168a4e5>] {inner}+0xc5/0x1c0\n"
        "Feb  3 04:05:06 gpu-9 kernel: [<ffffffff8120ddd2>] path_openat+0xc2/0x490\n"
    )
    locked, given = answer(log.format(pid=411, inner="__mutex_lock_slowpath"))
    assert locked == "filesystem-stall" and '"pid": 411' in given
    fifo, _ = answer(log.format(pid=412, inner="fifo_open"))
    assert fifo != "filesystem-stall"


def test_lldbs_numbers_of_threads_are_no_ids_of_processes() -> None:
    frames = (
        "  * frame #0: 0x01aa919084 libsystem_kernel.dylib`__psynch_cvwait + 8\n"
        "    frame #1: 0x01aa78b1b4 libsystem_pthread.dylib`_pthread_cond_wait + 84\n"
        "    frame #2: 0x0103200000 libmine.dylib`mine::Queue::pop(int) + 40\n"
    )
    family, given = answer("(lldb) bt\n* thread #1, queue = 'com.apple.main-thread'\n" + frames)
    assert family == "unknown" and "pid:1" not in given


def test_stacks_that_an_editor_copies_are_read() -> None:
    _, given = answer(
        "libc.so.6!__futex_abstimed_wait_common64(int private) (/build/nptl/futex-internal.c:57)\n"
        "libpthread.so.0!__new_sem_wait_slow64(struct new_sem * sem) (/build/nptl/sem_waitcommon.c:183)\n"
        "libmine.so!mine::Pool::run(std::function<void ()> f) (/srv/mine/pool.cc:31)\n"
    )
    assert "pool.cc" in given and "mine::Pool::run" in given
