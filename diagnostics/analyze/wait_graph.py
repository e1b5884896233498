"""Cycles and sinks among those who wait for each other. Pure; the cost grows with the number of waits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from diagnostics.model import Wait

Graph = Mapping[str, frozenset[str]]
_THREAD = " thread "


def node_of(rank: str, tid: int = 0) -> str:
    """The rank for the thread where it stands (0), `worker:0 thread 4711` for another."""
    return f"{rank}{_THREAD}{tid}" if tid else rank


def rank_in(node: str) -> str:
    return node.partition(_THREAD)[0]


def thread_in(node: str) -> int:
    """0 for the thread where the rank stands."""
    tid = node.partition(_THREAD)[2]
    return int(tid) if tid.isdecimal() else 0


def graph_of(waits: Iterable[Wait]) -> Graph:
    """rank -> the ranks that it waits for; every rank that is named is in it."""
    found: dict[str, set[str]] = {}
    for wait in waits:
        found.setdefault(wait.rank, set()).add(wait.on)
        found.setdefault(wait.on, set())
    return {rank: frozenset(on) for rank, on in found.items()}


def reached(start: str, graph: Graph) -> tuple[str, ...]:
    """All that it waits for, directly or through others, nearest first."""
    seen, todo = {start: None}, [start]
    while todo:
        for other in sorted(graph.get(todo.pop(0), ())):
            if other not in seen:
                seen[other] = None
                todo.append(other)
    return tuple(seen)[1:]


def sinks(graph: Graph) -> tuple[str, ...]:
    """Who is waited for and waits for nobody: where to look first."""
    return tuple(sorted(rank for rank, on in graph.items() if not on))


def cycles(graph: Graph) -> tuple[tuple[str, ...], ...]:
    """Groups of ranks of which each waits, directly or through others, for every other (Kosaraju's algorithm)."""
    backwards: dict[str, list[str]] = {rank: [] for rank in graph}
    for rank, others in graph.items():
        for other in others:
            backwards[other].append(rank)
    taken: set[str] = set()
    groups = []
    for rank in reversed(_by_finish(graph)):
        if rank not in taken:
            group = list(_reachable(rank, backwards, taken))
            if len(group) > 1 or rank in graph[rank]:
                groups.append(tuple(sorted(group)))
    return tuple(sorted(groups))


def _by_finish(graph: Graph) -> list[str]:
    """Every rank after all that can be reached from it, but for cycles."""
    seen: set[str] = set()
    finished: list[str] = []
    for start in sorted(graph):
        path = [] if start in seen else [(start, iter(sorted(graph[start])))]
        seen.add(start)
        while path:
            rank, rest = path[-1]
            following = next((other for other in rest if other not in seen), None)
            if following is None:
                finished.append(rank)
                path.pop()
            else:
                seen.add(following)
                path.append((following, iter(sorted(graph[following]))))
    return finished


def _reachable(start: str, graph: Mapping[str, Iterable[str]], taken: set[str]) -> Iterator[str]:
    todo = [start]
    taken.add(start)
    while todo:
        rank = todo.pop()
        yield rank
        new = [other for other in graph[rank] if other not in taken]
        taken.update(new)
        todo += new


def where_to_look(waits: Iterable[Wait]) -> tuple[str, ...]:
    """What the graph says to take next, in words."""
    graph = graph_of(waits)
    said = [f"the stacks of {', '.join(group[:6])}, which wait for each other in a circle" for group in cycles(graph)]
    ends = sinks(graph)
    if ends and len(ends) < len(graph):
        said.append(f"a look at {', '.join(ends[:6])} first: others wait for it, and it waits for nobody that is known")
    return tuple(said)
