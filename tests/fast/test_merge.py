"""Stacks of many ranks become one tree, in whatever order and grouping hosts answer."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from diagnostics.model import Frame, Process, Thread
from diagnostics.stacks.prefix_tree import EMPTY, Forest, classes_of, merge, merge_processes, waits_in

frames = st.builds(Frame, function=st.sampled_from("abcd"), file=st.sampled_from(["x", "y"]), native=st.booleans())
threads = st.builds(Thread, tid=st.integers(1, 9), frames=st.lists(frames, max_size=5).map(tuple))
processes = st.builds(
    Process,
    rank=st.sampled_from(["worker:0", "worker:1", "ps:0"]),
    pid=st.just(1),
    host=st.just("h"),
    threads=st.lists(threads, max_size=4).map(tuple),
)
forests = st.lists(processes, max_size=4).map(merge_processes)


@given(forests, forests)
def test_merging_is_commutative(left: Forest, right: Forest) -> None:
    assert merge(left, right) == merge(right, left)


@given(forests, forests, forests)
def test_merging_is_associative_and_nothing_is_its_unit(a: Forest, b: Forest, c: Forest) -> None:
    assert merge(merge(a, b), c) == merge(a, merge(b, c))
    assert merge(a, EMPTY) == a == merge(EMPTY, a)


@given(st.lists(processes, max_size=5))
def test_no_thread_is_lost_and_each_node_has_the_ranks_below_it(given_: list[Process]) -> None:
    tree = merge_processes(given_)
    assert sum(node.threads for node in tree) == sum(bool(t.frames) for p in given_ for t in p.threads)
    todo = list(tree)
    while todo:
        node = todo.pop()
        assert node.ranks == tuple(sorted(set(node.ranks)))
        for child in node.children:
            assert set(child.ranks) <= set(node.ranks)
        assert sum(child.threads for child in node.children) <= node.threads
        todo += node.children


def test_a_wait_is_named_by_what_the_framework_calls_it() -> None:
    """GIVEN a client in RunStep on top of libc's layers, THEN it waits in RunStep."""
    stack = ("main", "tensorflow::LocalMaster::RunStep", "tensorflow::(anonymous namespace)::WaitForNotification")
    native = tuple(Frame(name, "lib.so", native=True) for name in (*stack, "nsync::nsync_cv_wait", "syscall"))
    assert waits_in(Thread(1, frames=native)) == "tensorflow::LocalMaster::RunStep"
    assert waits_in(Thread(1)) == ""


def test_ranks_with_equal_main_threads_are_one_class() -> None:
    def process(rank: str, *functions: str) -> Process:
        return Process(rank, 1, "h", threads=(Thread(1, frames=tuple(Frame(name) for name in functions)),))

    classes = classes_of([process("ps:0", "m", "join"), process("worker:0", "m", "run"), process("ps:1", "m", "join")])
    assert [(group.ranks, group.waits_in) for group in classes] == [(("worker:0",), "run"), (("ps:0", "ps:1"), "join")]


def test_a_deep_recursion_does_not_break_the_merge() -> None:
    """GIVEN a stack as deep as Python allows, THEN it merges, with the middle left out and said so."""
    deep = Thread(1, frames=tuple(Frame(f"f{index}") for index in range(5000)))
    (root,) = merge_processes([Process("worker:0", 1, "h", threads=(deep,))])
    count, node = 1, root
    while node.children:
        (node,) = node.children
        count += 1
    assert count < 500 and node.function == "f4999"
    assert merge((root,), (root,))[0].threads == 2
