"""The merged tree as blocks: chains, idle threads, limits."""

from __future__ import annotations

import report_samples

from diagnostics.model import StackNode
from diagnostics.report.stacks import short_path, stacks_of, wait_line


def chain(*functions: str, native: bool = True, threads: int = 1) -> StackNode:
    children: tuple[StackNode, ...] = ()
    for function in reversed(functions):
        children = (StackNode(function, "lib.so", native, ("ps:0",), threads, children),)
    return children[0]


def test_the_hung_client_stands_out_and_the_pools_are_idle() -> None:
    _, diagnosis = report_samples.last_batch_hang()
    stacks = stacks_of(diagnosis.tree)
    assert (stacks.busy_threads, stacks.idle_threads) == (6, 5 * (9 + 24))
    first = stacks.busy[0]
    assert (first.ranks, first.threads) == ("ps:0-3, worker:0", 5)
    client = first.children[0]
    assert client.ranks == "worker:0"
    assert wait_line(client).function == "tensorflow::LocalMaster::RunStep"


def test_no_thread_is_lost_between_busy_and_idle() -> None:
    collection, diagnosis = report_samples.last_batch_hang()
    stacks = stacks_of(diagnosis.tree)
    assert stacks.busy_threads + stacks.idle_threads == sum(len(p.threads) for p in collection.processes)


def test_a_pool_thread_with_work_is_not_idle() -> None:
    waits = chain("start_thread", "Eigen::WorkerLoop", "WaitForWork", "pthread_cond_wait", threads=3)
    works = chain(
        "start_thread", "Eigen::WorkerLoop", "tensorflow::ExecutorState::Process", "pthread_cond_wait"
    )
    stacks = stacks_of([waits, works])
    assert (stacks.busy_threads, stacks.idle_threads) == (1, 3)


def test_python_pool_workers_are_idle_while_they_wait_for_work() -> None:
    worker = StackNode(
        "_worker", "/usr/lib/python3.11/concurrent/futures/thread.py", False, ("ps:0",), 2,
        (StackNode("get", "/usr/lib/python3.11/queue.py", False, ("ps:0",), 1),
         StackNode("job", "/srv/train.py", False, ("ps:0",), 1)),
    )  # fmt: skip
    stacks = stacks_of([worker])
    assert (stacks.busy_threads, stacks.idle_threads) == (1, 1)


def test_a_chain_is_one_block_until_the_threads_part() -> None:
    fork = StackNode(
        "main", "", False, ("w:0", "w:1"), 2, (chain("a", "b"), chain("c")),
    )  # fmt: skip
    (block,) = stacks_of([fork]).busy
    assert [line.function for line in block.frames] == ["main"]
    assert [[line.function for line in child.frames] for child in block.children] == [["a", "b"], ["c"]]


def test_a_stack_that_ends_where_others_go_on_is_counted() -> None:
    node = StackNode("main", "", False, ("w:0",), 3, (chain("a", threads=2),))
    assert stacks_of([node]).busy_threads == 3


def test_beyond_the_limit_frames_are_counted_not_drawn() -> None:
    roots = [chain(f"f{number}", "g", "h") for number in range(100)]
    stacks = stacks_of(roots, limit=1_000)
    drawn = sum(len(block.frames) for root in stacks.busy for block in root.walk())
    assert 0 < drawn < 100
    assert drawn + stacks.left_out == 300


def test_a_deep_stack_and_many_forks_are_borne() -> None:
    deep = chain(*(f"f{depth}" for depth in range(5_000)))
    assert len(stacks_of([deep], limit=10**7).busy[0].frames) == 5_000
    node = chain("leaf")
    for depth in range(500):
        node = StackNode(f"f{depth}", "", False, ("w:0",), depth + 2, (node, chain("side")))
    assert stacks_of([node], limit=10**7).left_out > 0


def test_a_node_that_two_parents_share_is_drawn_twice() -> None:
    shared = chain("shared")
    root = StackNode("main", "", False, ("w:0",), 2, (
        StackNode("a", "", False, ("w:0",), 1, (shared,)), StackNode("b", "", False, ("w:0",), 1, (shared,)),
    ))  # fmt: skip
    assert stacks_of([root]).busy_threads == 2


def test_paths_are_short() -> None:
    assert short_path("/opt/python/client/session.py") == "client/session.py"
    assert short_path("/opt/python/libtf.so.2") == "libtf.so.2"
    assert short_path("a.py") == "a.py"
