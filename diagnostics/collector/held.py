"""Locks of Python that a thread holds or wants where it stands, by the source of its functions.

A lock of Python has no owner that could be read. But who stands inside of `with lock:`, or between `lock.acquire()` and
`lock.release()`, holds it, and who stands in the line that takes it wants it. Locks are told by what the source calls
them: `self.lock`. Pure. CPython 3.6, the standard library alone.
"""

import ast
from typing import Iterable, Iterator, List, NamedTuple, Sequence, Set, Tuple

from diagnostics.collector.loops import Source
from diagnostics.collector.syntax import calls_in, last_line, name_of, own_nodes

_GIVES_UP = ("wait", "wait_for")
"""A condition's waiter does not hold the lock that it has taken."""


class Place(NamedTuple):
    """A frame: where it stands, and the function that it calls there, "" for the innermost."""

    function: str
    line: int
    calls: str = ""


class Block(NamedTuple):
    """`line`: where it is taken."""

    name: str
    line: int
    wanted: bool = False


def blocks_at(source: Source, place: Place, innermost: bool) -> List[Block]:
    """What a frame holds; of the innermost one of the program's own also what it is about to take."""
    found: Set[Block] = set()
    for function in source.inside(place.function, place.line)[:1]:
        nodes = list(own_nodes(function))
        if place.calls not in _GIVES_UP:
            found.update(_held(nodes, place.line))
        if innermost:
            found.update(_wanted(nodes, place.line))
    return sorted(found)


def _held(nodes: Sequence[ast.AST], line: int) -> Iterator[Block]:
    for node in nodes:
        if isinstance(node, ast.With) and node.body[0].lineno <= line <= last_line(node):
            for item in node.items:
                if is_lock(item.context_expr):
                    yield Block(dotted(item.context_expr), node.lineno)
    given_back = {name: at for name, at, call in _calls_of_locks(nodes) if call == "release" and at > line}
    before = sorted((at, call, name) for name, at, call in _calls_of_locks(nodes) if at < line)
    for name in given_back:
        last = [(at, call) for at, call, one in before if one == name][-1:]
        if last and last[0][1] == "acquire":
            yield Block(name, last[0][0])


def _wanted(nodes: Sequence[ast.AST], line: int) -> Iterator[Block]:
    for node in nodes:
        if isinstance(node, ast.With) and node.lineno <= line < max(node.body[0].lineno, node.lineno + 1):
            for item in node.items:
                if is_lock(item.context_expr):
                    yield Block(dotted(item.context_expr), node.lineno, True)
    for name, at, call in _calls_of_locks(nodes):
        if call == "acquire" and at == line:
            yield Block(name, at, True)


def is_lock(node: ast.AST) -> bool:
    """Whether it may be one: a name, or an attribute of something."""
    return isinstance(node, (ast.Name, ast.Attribute))


def dotted(node: ast.AST) -> str:
    """`self.lock`, as far as it is made of names."""
    if isinstance(node, ast.Attribute):
        return ".".join(filter(None, (dotted(node.value), node.attr)))
    return name_of(node) if isinstance(node, ast.Name) else ""


def _calls_of_locks(nodes: Iterable[ast.AST]) -> Iterator[Tuple[str, int, str]]:
    """(lock, line, function) of `lock.acquire()` and `lock.release()`."""
    for call in calls_in(nodes):
        if (
            name_of(call) in ("acquire", "release")
            and isinstance(call.func, ast.Attribute)
            and is_lock(call.func.value)
        ):
            yield dotted(call.func.value), call.lineno, call.func.attr
