"""Circles and ends among ranks that wait for each other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from diagnostics.analyze.wait_graph import cycles, graph_of, sinks, where_to_look
from diagnostics.model import Wait

ranks = st.sampled_from([f"worker:{index}" for index in range(6)])
waits = st.lists(st.builds(Wait, rank=ranks, on=ranks, why=st.just("")), max_size=14)


def reaches(graph: dict[str, frozenset[str]], start: str, end: str) -> bool:
    seen, todo = set(), list(graph[start])
    while todo:
        rank = todo.pop()
        if rank == end:
            return True
        if rank not in seen:
            seen.add(rank)
            todo += graph[rank]
    return False


@given(waits)
def test_a_circle_is_who_can_be_reached_from_itself(given_: list[Wait]) -> None:
    graph = dict(graph_of(given_))
    inside = {rank for group in cycles(graph) for rank in group}
    assert inside == {rank for rank in graph if reaches(graph, rank, rank)}
    for group in cycles(graph):
        assert all(reaches(graph, one, other) for one in group for other in group)


def test_the_end_of_the_chain_is_named() -> None:
    """GIVEN workers that wait for a chief that waits for a server, THEN the server is where to look."""
    chain = [Wait("worker:0", "chief:0", ""), Wait("worker:1", "chief:0", ""), Wait("chief:0", "ps:1", "")]
    assert sinks(graph_of(chain)) == ("ps:1",)
    assert where_to_look(chain)[0].startswith("look at ps:1 first")


def test_a_hundred_thousand_in_a_row() -> None:
    row = [Wait(f"w:{index}", f"w:{index + 1}", "") for index in range(100_000)]
    assert sinks(graph_of(row)) == ("w:100000",) and cycles(graph_of(row)) == ()
    assert len(cycles(graph_of([*row, Wait("w:100000", "w:0", "")]))[0]) == 100_001
