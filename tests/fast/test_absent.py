"""Ranks that are not there, known from what the others hold of them, and ranks named by their frameworks alone."""

from __future__ import annotations

import ctypes
import json
import os
import struct

import msgspec
import pytest

from diagnostics.analyze.absent import absent_ranks
from diagnostics.collector.memory import tensorflow1_cluster as cluster
from diagnostics.collector.memory.process import Memory
from diagnostics.collector.sources import joining
from diagnostics.collector.stacks import pyspy
from diagnostics.model import (
    Collection,
    Connection,
    Diagnosis,
    Frame,
    Process,
    ProcessGroup,
    Sample,
    State,
    Task,
    Thread,
    ThreadSample,
)
from diagnostics.pipeline import explain

STEP = ("TF_SessionRun", "tensorflow::GrpcSession::RunHelper", "tensorflow::LocalMaster::RunStep", "pthread_cond_wait")
CREATE = ("TF_ExtendGraph", "tensorflow::GrpcSession::Create", "tensorflow::LocalMaster::CreateSession")
JOIN = (Frame("init_process_group", "/v/site-packages/torch/distributed/distributed_c10d.py", 1892),)


def process(rank: str, pid: int, *frames: Frame, **more: object) -> Process:
    looks = tuple(Sample(at, (ThreadSample(pid, "python", "S", 1.0, 5, 5),)) for at in (1.0, 40.0))
    user = Frame("main", "/home/u/job.py", 12)
    known = {"threads": (Thread(pid, "MainThread", (user, *frames)),), "samples": looks, "since": 39.0}
    return Process(rank, pid, "h", State.UNKNOWN, **{**known, **more})  # type: ignore[arg-type]


def of_tensorflow(*names: str) -> tuple[Frame, ...]:
    return tuple(Frame(name, "_pywrap_tensorflow_internal.so", native=True) for name in names)


def linked(port: int, peer: str) -> Connection:
    return Connection("127.0.0.1:5000", f"127.0.0.1:{port}", "ESTABLISHED", peer)


def answer(*processes: Process) -> Diagnosis:
    return explain(Collection(100.0, 2.0, processes))[1]


CLUSTER = (
    Task("ps:0", "localhost:70", True),
    Task("ps:1", "localhost:71", True),
    Task("worker:0", "localhost:80", True),
)


def test_a_server_that_had_answered_and_is_connected_no_more_is_the_culprit() -> None:
    """GIVEN a client that waits in a step, and a cluster of which one server serves no more, THEN that one is named."""
    server = process("ps:0", 1, Frame("tensorflow::GrpcServer::Join", "tf.so", native=True), listens=("[::]:70",))
    client = process(
        "worker:0", 2, *of_tensorflow(*STEP), listens=("[::]:80",), connections=(linked(70, "ps:0"),), tasks=CLUSTER
    )
    said = answer(server, client)
    assert said.culprits[0].rank == "ps:1" and "127" not in said.culprits[0].why.split("localhost")[0]
    assert said.verdict == "peer-dead" and said.findings[0].title.startswith("ps:1 is gone")


def test_a_server_to_which_somebody_is_connected_is_there() -> None:
    """ALSO where its process was not looked at: it may run on another host."""
    client = process(
        "worker:0", 2, *of_tensorflow(*STEP), listens=("[::]:80",), tasks=CLUSTER,
        connections=(linked(70, ""), linked(71, "")),
    )  # fmt: skip
    assert not absent_ranks(Collection(100.0, 2.0, (client,)))


def test_a_session_that_is_made_waits_for_the_server_that_never_answered() -> None:
    tasks = (CLUSTER[0], msgspec.structs.replace(CLUSTER[1], answered=False), *CLUSTER[2:], Task("worker:1", "h:81"))
    client = process(
        "worker:0", 2, *of_tensorflow(*CREATE), listens=("[::]:80",), connections=(linked(70, ""),), tasks=tasks
    )
    (one,) = absent_ranks(Collection(100.0, 2.0, (client,)))
    assert one.rank == "ps:1" and not one.was_there


def group(number: int, size: int = 3) -> tuple[ProcessGroup, ...]:
    return (ProcessGroup("default_pg", "0", "default_pg", size=size, rank=number),)


def test_who_has_not_come_to_the_first_group_is_named_and_the_others_get_their_ranks() -> None:
    """GIVEN two processes without a rank in `init_process_group` of three, THEN the third is the culprit."""
    meeting = Connection("127.0.0.1:29500", "127.0.0.1:4000", "ESTABLISHED", "pid:12")
    first = process("pid:11", 11, *JOIN, listens=("[::]:29500",), connections=(meeting,), groups=group(0))
    asks = Connection("127.0.0.1:4000", "127.0.0.1:29500", "ESTABLISHED", "pid:11")
    other = process("pid:12", 12, *JOIN, connections=(asks,), groups=group(1))
    collection, said = explain(Collection(100.0, 2.0, (first, other)))
    assert [one.rank for one in collection.processes] == ["worker:0", "worker:1"]
    assert said.culprits[0].rank == "worker:2" and said.verdict == "peer-startup"


def test_nobody_is_missed_while_somebody_unknown_is_connected_to_the_meeting() -> None:
    unknown = Connection("127.0.0.1:29500", "10.0.0.9:4000", "ESTABLISHED")
    first = process("worker:0", 11, *JOIN, listens=("[::]:29500",), connections=(unknown,), groups=group(0))
    assert not absent_ranks(Collection(100.0, 2.0, (first,)))


def test_who_meets_by_a_file_and_is_alone_misses_the_others() -> None:
    """GIVEN a rank that is connected to nobody, THEN the one that has not come is named."""
    alone = process("pid:11", 11, *JOIN, groups=group(1, size=2))
    said = answer(alone)
    assert said.culprits[0].rank == "worker:0" and said.verdict == "peer-startup"


def test_a_rank_that_ought_to_be_there_is_named_where_nothing_else_is() -> None:
    waits = process(
        "chief:0", 3, Frame("join", "/v/tensorflow/python/distribute/coordinator/cluster_coordinator.py", 9)
    )
    _, said = explain(Collection(100.0, 2.0, (waits,), expected=("chief:0", "worker:0")))
    assert [one.rank for one in said.culprits][:1] == ["worker:0"]


def test_workers_that_have_left_while_a_step_needs_them_are_gone() -> None:
    """GIVEN a server that itself waits in a step for workers that it knew, THEN both are named, with less certainty."""
    tasks = (CLUSTER[0], Task("worker:0", "localhost:80", True), Task("worker:1", "localhost:81", True))
    server = process("ps:0", 1, *of_tensorflow(*STEP), listens=("[::]:70",), tasks=tasks)
    said = answer(server)
    assert {one.rank for one in said.culprits} == {"worker:0", "worker:1"}
    assert said.verdict == "peer-dead" and said.findings[0].title.startswith("worker:0, worker:1 are gone")


@pytest.mark.parametrize("frames, rank", [
    ([("_create_c10d_store", "rendezvous.py", {"rank": "2", "world_size": "8"}), ("init_process_group", "distributed_c10d.py", {"rank": "-1", "world_size": "-1"})], 2),  # noqa: E501
    ([("wait", "store.py", {}), ("init_process_group", "distributed_c10d.py", {"rank": "1", "world_size": "8"})], 1),
    ([("initialize", "jax/_src/distributed.py", {"process_id": "3", "num_processes": "8"})], 3),
    ([("init_process_group", "distributed_c10d.py", {"rank": "9", "world_size": "8"})], -1),
    ([("init_process_group", "distributed_c10d.py", {"rank": '"1"', "world_size": None})], -1),
])  # fmt: skip
def test_a_groups_size_is_read_from_the_call_that_forms_it(
    frames: list[tuple[str, str, dict[str, str]]], rank: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = [
        {
            "name": name,
            "filename": f"/v/{file}" if "/" in file else f"/v/torch/distributed/{file}",
            "locals": [{"name": n, "repr": v} for n, v in of.items()],
        }
        for name, file, of in frames
    ]
    monkeypatch.setattr(pyspy, "ask", lambda *_: json.dumps([{"os_thread_id": 1, "frames": told}]))
    found = joining.group_of(1)
    assert (found.rank if found else -1) == rank and (not found or found.size == 8)


@pytest.mark.parametrize("new", [True, False], ids=["strings of C++11", "strings of before"])
def test_a_cluster_is_found_in_memory(new: bool) -> None:
    """GIVEN a map from a task's number to its address behind the job's name, as libstdc++ lays both out."""
    arena = ctypes.create_string_buffer(4096)
    base = (ctypes.addressof(arena) + 15) & ~15
    text = b"10.20.30.40:27301" if new else b"10.20.30.41:27302"

    def put(at: int, form: str, *values: object) -> None:
        struct.pack_into(form, arena, base - ctypes.addressof(arena) + at, *values)

    def string(at: int, chars: int, value: bytes) -> None:
        if new:
            put(at, "<QQ16s", base + at + 16, len(value), value)
        else:
            put(chars - 24, "<QQi", len(value), len(value), 0)
            put(at, "<Q", base + chars)
            put(chars, f"<{len(value) + 1}s", value)

    width = 32 if new else 8
    header, node = 512, 1024  # of the map: the tree's own node, and the only entry
    string(header - 8 - width, 2048, b"pserver")
    put(header, "<4Q", 0, base + node, base + node, base + node)
    put(node, "<4Q", 1, base + header, 0, 0)
    put(node + 32, "<I", 3)
    if new:  # a short text would stand in the string itself; a long one elsewhere
        put(node + 40, "<QQ", base + 3072, len(text))
        put(3072, f"<{len(text) + 1}s", text)
    else:
        string(node + 40, 3072, text)
    with Memory(os.getpid()) as memory:
        assert ("pserver:3", text.decode()) in [(task.rank, task.address) for task in cluster.tasks_of(memory)]


ELASTIC = "/v/site-packages/torch/distributed/elastic/rendezvous/static_tcp_rendezvous.py"


def launcher_of(node: str, pid: int, nodes: str = "2") -> Process:
    command = ("python", "-m", "torch.distributed.run", "--nnodes", nodes, f"--node-rank={node}", "train.py")
    return process(f"launcher/{pid}", pid, Frame("next_rendezvous", ELASTIC, 67), command=command)


def test_a_launcher_that_waits_for_other_nodes_is_no_job_that_has_ended() -> None:
    """GIVEN torchrun on one of two nodes, which has started nobody yet, THEN it hangs, and the other node is named."""
    found = answer(launcher_of("0", 11))
    assert found.hung and found.verdict == "peer-startup"
    assert [culprit.rank for culprit in found.culprits] == ["node:1"]


def test_of_several_nodes_that_are_not_seen_none_is_named() -> None:
    assert not absent_ranks(Collection(100.0, 2.0, (launcher_of("0", 11, "3"),)))
    assert not absent_ranks(Collection(100.0, 2.0, (launcher_of("", 11),)))
    assert [
        one.rank for one in absent_ranks(Collection(1.0, 2.0, (launcher_of("2", 9, "3"), launcher_of("1", 8, "3"))))
    ] == ["node:0"]


VOCABULARY = (Frame("wait_for_words", "/home/u/serve.py", 18),)
IN_JOIN = (
    Frame("serve", "/home/u/serve.py", 30),
    Frame("join", "/v/site-packages/tensorflow/python/training/server_lib.py", 242),
    Frame("tensorflow::GrpcServer::Join", "_pywrap_tensorflow_internal.so", native=True),
)


@pytest.mark.parametrize("serves", [True, False])
def test_a_server_that_stands_before_it_serves_is_the_one_that_never_came_up(serves: bool) -> None:
    """GIVEN workers that wait for their session, and a server whose main thread is in its user's code, WHEN it listens
    nowhere, THEN it is the culprit with its place; one that serves beside other work is none."""
    other = process("ps:0", 9, *IN_JOIN, listens=("127.0.0.1:69",))
    before = process("ps:1", 10, *VOCABULARY, listens=("127.0.0.1:70",) if serves else ())
    workers = [process(f"worker:{n}", 20 + n, *of_tensorflow(*CREATE)) for n in (0, 1)]
    found = answer(other, before, *workers)
    assert found.hung and not found.errors and found.verdict == "peer-startup"
    named = [(one.rank, one.position.function if one.position else "") for one in found.culprits]
    assert named == [("ps:1", "wait_for_words")] if not serves else "ps:1" not in dict(named)
    title = found.findings[0].title
    assert title.startswith("ps:1 runs and does not serve yet") is not serves
    assert ("before it serves" in found.findings[0].remedy[0]) is not serves


def group_of(rank: int, size: int) -> dict[str, object]:
    return {"groups": (ProcessGroup("default_pg", "0", "default_pg", size=size, rank=rank),)}


@pytest.mark.parametrize(("age", "parent", "size"), [(30.2, 5, 3), (90.0, 5, 3), (30.2, 6, 3), (30.2, 5, 4)])
def test_the_rank_that_has_ended_is_told_once(age: float, parent: int, size: int) -> None:
    """GIVEN ranks of one parent that wait for the rest to join, and one more of its children that has failed, THEN it
    is the one rank that lacks; one that was started later, or by another, or where more lack, has no number."""
    ranks = [process(f"pid:{10 + n}", 10 + n, *JOIN, parent=5, age=30.0, **group_of(n, size)) for n in (0, 1)]
    failed = Process("pid:12", 12, "h", parent=parent, age=age, exit_status=1, command=())
    found = answer(*ranks, failed)
    is_it = (age, parent, size) == (30.2, 5, 3)
    named = [(one.rank, one.pid) for one in found.culprits]
    assert (("pid:12", 12) in named) is not is_it
    if is_it:
        assert named == [("worker:2", 12)] and found.verdict == "peer-dead"
        assert "exception" in found.findings[0].remedy[0] and not any("SIGKILL" in t for t in found.findings[0].remedy)


def test_a_worker_of_the_cluster_that_serves_nowhere_on_this_machine_is_missed_by_a_step() -> None:
    """GIVEN a chief that waits in a step for the gradients of all, WHEN one worker ended before anybody asked it."""
    server = process("ps:0", 1, Frame("tensorflow::GrpcServer::Join", "tf.so", native=True), listens=("[::]:70",))
    tasks = (*CLUSTER[:1], CLUSTER[2], Task("worker:1", "127.0.0.1:81"))
    more = {"listens": ("[::]:80",), "connections": (linked(70, "ps:0"),)}
    said = answer(server, process("worker:0", 2, *of_tensorflow(*STEP), tasks=tasks, **more))
    assert said.culprits[0].rank == "worker:1"
    far = (*CLUSTER[:1], CLUSTER[2], Task("worker:1", "198.18.0.9:81"))  # another machine: it may well be there
    said = answer(server, process("worker:0", 2, *of_tensorflow(*STEP), tasks=far, **more))
    assert all(one.rank != "worker:1" for one in said.culprits)


GET = (
    Frame("get", "/v/site-packages/torch/distributed/distributed_c10d.py", 9),
    Frame("c10d::TCPStore::doWait", "x.so", native=True),
)


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_rank_that_is_nowhere_is_missed_at_the_store_where_the_others_have_met(elsewhere: bool) -> None:
    first = process("worker:0", 1, *GET, listens=("[::]:29500",), connections=(linked(1, "worker:1"),))
    peer = "" if elsewhere else "worker:0"  # a connection that leads to who is not known
    second = process("worker:1", 2, *GET, connections=(linked(29500, peer),))
    _, said = explain(Collection(100.0, 2.0, (first, second), expected=("worker:2",)))
    found = {one.cause: one.confidence for one in said.findings}
    assert (found.get("peer-dead", 0) > 0.5) is not elsewhere
    assert any(one.rank == "worker:2" for one in said.culprits)
