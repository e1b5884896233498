"""Loops that only wait, told by their source: what they ask again and again, and what would have to change.

A thread that polls looks the same as one that computes: it runs, or sleeps shortly. The text of the loop tells them
apart. One that has an end, and whose body keeps nothing and calls nothing for its effect, can only wait for somebody
else. One that works on variables of its own alone goes on for ever once these have values that they had before.

What cannot be told counts as work. Pure, but for the cache. CPython 3.6, the standard library alone.
"""

import ast
import re
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple, Union

MOST_SOURCE = 2 << 20
_DEEP = 3
"""Functions of the same file that are looked into, one from the other."""

_ASKS = frozenset(
    (
        "exists", "lexists", "isfile", "isdir", "is_file", "is_dir", "is_set", "is_alive", "is_running", "is_ready",
        "is_complete", "is_completed", "is_stopped", "finished", "completed", "successful", "done", "ready", "isatty",
        "empty", "full", "qsize", "poll", "stat", "lstat", "access", "listdir", "scandir", "glob", "iglob", "getmtime",
        "getsize", "time", "monotonic", "perf_counter", "time_ns", "monotonic_ns", "perf_counter_ns", "process_time",
        "now", "utcnow", "today", "len", "abs", "min", "max", "int", "float", "str", "bool", "any", "all", "range",
        "zip", "enumerate", "isinstance", "getattr", "hasattr", "round", "sum", "sorted", "getpid", "getppid",
        "getloadavg", "locked", "get_nowait", "acquire", "join", "Path", "strip", "lower", "startswith", "endswith",
        "format", "kill", "waitpid", "query",
    )
)  # fmt: skip
"""Functions that only ask, by the last part of their name."""
_HARMLESS = frozenset(
    (
        "sleep", "usleep", "sched_yield", "print", "debug", "info", "warning", "warn", "error", "exception", "log",
        "flush", "wait", "select", "poll", "join", "release", "close", "refresh", "reload", "set_description", "kill",
        "waitpid", "acquire", "pause",
    )
)  # fmt: skip
"""Functions that people call in a loop that waits, for no other effect than to wait or to say so."""
_CLOCKS = frozenset(
    (
        "time", "monotonic", "perf_counter", "time_ns", "monotonic_ns", "perf_counter_ns", "process_time", "now",
        "utcnow", "today",
    )
)  # fmt: skip
_UNTIL_ENDED = re.compile(
    r"stop|shut|exit|quit|term|running|alive|keep|interrupt|cancel|abort|kill|sigint|die|closed|forever|active", re.I
)
_OF_FLAGS = frozenset(("is_set", "isSet", "get", "wait"))
_Function = Union[ast.FunctionDef, ast.AsyncFunctionDef, ast.Module]


class Loop(NamedTuple):
    """`asks`: it only waits; else it works on its own variables alone. `condition`: the line that asks.

    `counts`: variables that only number the rounds or keep the time, `keeps`: the others that it sets. `called`:
    functions that may do anything, `calls`: variables that these are given. `wanted`: names and texts in what it asks.
    """

    function: str
    condition: int
    asks: bool
    limited: bool
    until_ended: bool  # it runs until somebody ends the program
    serves: bool  # it is in a loop that has no end
    until_time: bool  # only the clock ends it
    counts: Tuple[str, ...]
    keeps: Tuple[str, ...]
    called: Tuple[str, ...]
    calls: Tuple[str, ...]
    wanted: Tuple[str, ...]


class Source(object):
    """The functions of one file. Raises SyntaxError, ValueError, RecursionError: it is no source that can be read."""

    def __init__(self, text: Union[str, bytes]) -> None:
        self._tree = ast.parse(text)
        self._functions: Dict[str, List[_Function]] = {}
        for node in ast.walk(self._tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                self._functions.setdefault(node.name, []).append(node)

    def loop_at(self, function: str, line: int) -> Optional[Loop]:
        """The innermost loop around this line that only waits, or works on its own variables; None for none."""
        for one in self._inside(function, line)[:1]:
            around = [node for node in _whiles(one) if node.lineno <= line <= last_line(node)]
            for loop in sorted(around, key=lambda node: -node.lineno):
                read = _Reading(loop, one, self).loop(function.rpartition(".")[2])
                if read and not _leaves(loop, line):
                    return read._replace(serves=any(map(_never_ends, around)))
        return None

    def serves_at(self, function: str, line: int) -> bool:
        """Whether the line is in a loop that has no end, as programs have that serve until they are ended."""
        inside = self._inside(function, line)
        return any(
            _never_ends(node) and node.lineno <= line <= last_line(node) for one in inside for node in _whiles(one)
        )

    def _inside(self, function: str, line: int) -> List[_Function]:
        name = function.rpartition(".")[2]
        if name == "<module>":
            return [self._tree]
        return [one for one in self._functions.get(name, ()) if _first(one) <= line <= last_line(one)]

    def has(self, name: str) -> bool:
        return name in self._functions

    def keeps_state(self, name: str) -> bool:
        """Whether a function of this file evidently changes what is not its own, so that its next answer may differ."""
        return any(_changes_others(one) for one in self._functions.get(name, ()))

    def is_pure(self, name: str, depth: int = _DEEP) -> bool:
        """Whether a function of this file only asks."""
        found = self._functions.get(name, [])
        if len(found) != 1 or depth <= 0:
            return False
        own = list(_own(found[0]))[1:]
        changes = any(
            isinstance(node, (ast.Global, ast.Nonlocal, ast.Yield, ast.Await))
            or (_stores(node) and not isinstance(node, ast.Name))
            for node in own
        )
        return not changes and all(_name(node) in _ASKS or self.is_pure(_name(node), depth - 1) for node in _calls(own))


class _Reading(object):
    """One loop being read."""

    def __init__(self, loop: ast.While, function: _Function, source: Source) -> None:
        self._loop, self._function, self._source = loop, function, source
        self._body = [loop.test] + list(_staying(loop.body))  # type: List[ast.AST]
        self._nodes = [node for part in self._body for node in _own(part)]

    def loop(self, name: str) -> Optional[Loop]:
        tests = list(self._tests())
        if not tests or self._has_effects():
            return None
        sleeps = any(_name(node) in _HARMLESS - _ASKS for node in _calls(self._nodes))
        counts = self._counts(sleeps)
        keeps = {node.id for node in self._nodes if isinstance(node, ast.Name) and _stores(node)} - counts
        unknown = [node for node in _calls(self._nodes) if not self._only_asks(node)]
        iterates = bool(keeps) and all(isinstance(node.func, ast.Name) for node in unknown) and self._iterates(keeps)
        spins = not unknown
        limited = self._is_limited(tests, counts)
        asks = sleeps or (spins and not iterates)
        if (limited and not sleeps) or not (asks or iterates):
            return None
        said = [node for test in tests for node in ast.walk(test)]
        return Loop(
            function=name,
            condition=_first(tests[-1]),
            asks=asks,
            limited=limited,
            until_ended=self._until_ended(tests),
            serves=False,
            until_time=all(map(_asks_the_clock_alone, tests)),
            counts=tuple(sorted(counts)),
            keeps=tuple(sorted(keeps)),
            called=tuple(sorted({_name(call) for call in unknown})),
            calls=tuple(sorted({name for call in unknown for one in call.args for name in _names(one)})),
            wanted=tuple(dict.fromkeys(word for node in said for word in _words(node))),
        )

    def _tests(self) -> Iterator[ast.AST]:
        """What decides whether it goes on; what is tried counts, where the loop is left if it succeeds."""
        if not _is_true(self._loop.test):
            yield self._loop.test
        for node in _own_of(self._loop.body):
            if isinstance(node, ast.If) and (_ends(node.body) or _ends(node.orelse)):
                yield node.test
            elif isinstance(node, ast.Try) and _ends(node.body + node.orelse):
                yield node.body[0]

    def _has_effects(self) -> bool:
        outer = {
            name for node in _own(self._function) if isinstance(node, (ast.Global, ast.Nonlocal)) for name in node.names
        }
        counted = {
            id(node.target) for node in self._nodes if isinstance(node, ast.AugAssign) and _is_literal(node.value)
        }
        for node in self._nodes:
            if isinstance(node, (ast.Attribute, ast.Subscript)) and _stores(node) and id(node) not in counted:
                return True
            if isinstance(node, ast.Name) and _stores(node) and node.id in outer and id(node) not in counted:
                return True
            if isinstance(node, (ast.Yield, ast.YieldFrom, ast.Await, ast.Delete)):
                return True
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and not self._only_asks(node.value):
                return True
        return False

    def _is_harmless(self, call: ast.Call) -> bool:
        writes = (
            _name(call) == "write"
            and isinstance(call.func, ast.Attribute)
            and _name(call.func.value) in ("stdout", "stderr")
        )
        return _name(call) in _HARMLESS or writes or self._source.is_pure(_name(call))

    def _only_asks(self, call: ast.Call) -> bool:
        return _name(call) in _ASKS or self._is_harmless(call)

    def _counts(self, sleeps: bool) -> Set[str]:
        found: Set[str] = set()
        for node in self._nodes:
            if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name) and _is_literal(node.value):
                found.add(node.target.id)
            elif isinstance(node, (ast.For, ast.comprehension)):
                found.update(n.id for n in ast.walk(node.target) if isinstance(n, ast.Name))
            elif isinstance(node, ast.ExceptHandler) and node.name:
                found.add(node.name)
            elif isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                target = node.targets[0].id
                if _keeps_time(node.value) or (sleeps and _grows(node.value, target)):
                    found.add(target)
        return found

    def _iterates(self, keeps: Set[str]) -> bool:
        return any(
            any(isinstance(n, ast.Name) and n.id in keeps for target in _targets(node) for n in ast.walk(target))
            and (isinstance(node, ast.AugAssign) or bool(keeps & _names(node)))
            for node in self._nodes
        )

    def _is_limited(self, tests: Iterable[ast.AST], counts: Set[str]) -> bool:
        """Whether it gives up after a number of rounds or a time."""
        for test in tests:
            for node in ast.walk(test):
                if isinstance(node, ast.Compare):
                    within = list(ast.walk(node))
                    if any(isinstance(n, ast.Name) and n.id in counts for n in within) or any(
                        _name(n) in _CLOCKS for n in within if isinstance(n, ast.Call)
                    ):
                        return True
        return False

    def _until_ended(self, tests: List[ast.AST]) -> bool:
        """By its only condition, a flag that is named so."""
        names = [word for node in ast.walk(tests[0]) for word in [_name(node)] if word]
        asked = {_name(node) for node in ast.walk(tests[0]) if isinstance(node, ast.Call)}
        return len(tests) == 1 and asked <= _OF_FLAGS and any(_UNTIL_ENDED.search(word) for word in names)


def _changes_others(function: _Function) -> bool:
    """Whether it sets, or calls for its effect, what it has not made itself."""
    nodes = list(_own(function))[1:]
    made = {node.id for node in nodes if isinstance(node, ast.Name) and _stores(node)}
    for node in nodes:
        if isinstance(node, (ast.Global, ast.Nonlocal, ast.Yield, ast.YieldFrom, ast.Await)):
            return True
        if isinstance(node, (ast.Attribute, ast.Subscript)) and _stores(node) and _root(node) not in made:
            return True
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            called = node.value.func
            of_its_own = isinstance(called, ast.Attribute) and _root(called) in made
            if not of_its_own and _name(called) not in _HARMLESS:
                return True
    return False


def _root(node: ast.AST) -> str:
    """`a` of `a.b[0].c`."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def last_line(node: ast.AST) -> int:
    """Of Python 3.6's trees, too, which have only first lines."""
    lines = [getattr(one, "end_lineno", None) or getattr(one, "lineno", 0) for one in ast.walk(node)]
    return max(int(line or 0) for line in lines)


def _first(node: ast.AST) -> int:
    return int(getattr(node, "lineno", 0))


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """What is in it, less what is in functions and classes that are made in it."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            for one in _own(child):
                yield one


def _own_of(parts: Iterable[ast.AST]) -> Iterator[ast.AST]:
    for part in parts:
        for one in _own(part):
            yield one


def _staying(statements: List[ast.stmt]) -> Iterator[ast.AST]:
    """What runs in a round after which there is another: branches that leave the loop are none of it."""
    for node in statements:
        if isinstance(node, ast.If):
            yield node.test
            for branch in (node.body, node.orelse):
                if not _ends(branch):
                    for one in _staying(branch):
                        yield one
        elif isinstance(node, ast.Try):
            leaves = _ends(node.body + node.orelse)
            for part in [] if leaves else [node.body, node.orelse]:
                for one in _staying(part):
                    yield one
            if leaves:
                for one in _calls(_own_of(node.body)):
                    yield one  # what is tried
            for branch in [handler.body for handler in node.handlers] + [node.finalbody]:
                if not _ends(branch):
                    for one in _staying(branch):
                        yield one
        elif isinstance(node, ast.With):
            for item in node.items:
                yield item
            for one in _staying(node.body):
                yield one
        else:
            yield node


def _ends(statements: List[ast.stmt]) -> bool:
    """Whether it leaves the loop: it returns, raises or breaks."""
    return bool(statements) and isinstance(statements[-1], (ast.Return, ast.Break, ast.Raise))


def _leaves(loop: ast.While, line: int) -> bool:
    """Whether the line is in a branch after which there is no other round."""
    for node in _own_of(loop.body):
        if isinstance(node, ast.If):
            for branch in (node.body, node.orelse):
                if _ends(branch) and branch[0].lineno <= line <= last_line(branch[-1]):
                    return True
    return False


def _whiles(node: ast.AST) -> List[ast.While]:
    return [one for one in _own(node) if isinstance(one, ast.While)]


def _never_ends(loop: ast.While) -> bool:
    leaves = any(isinstance(one, (ast.Return, ast.Break, ast.Raise)) for one in _own_of(loop.body))
    return _is_true(loop.test) and not leaves


def _targets(node: ast.AST) -> List[ast.AST]:
    return (
        list(node.targets) if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AugAssign) else []
    )


def _names(node: ast.AST) -> Set[str]:
    """Variables that it reads."""
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and not _stores(one)}


def _stores(node: ast.AST) -> bool:
    return isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del))


def _calls(nodes: Iterable[ast.AST]) -> Iterator[ast.Call]:
    return (node for node in nodes if isinstance(node, ast.Call))


def _name(node: ast.AST) -> str:
    """The last part of what it is called: `exists` of `os.path.exists(...)`."""
    if isinstance(node, ast.Call):
        return _name(node.func)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _is_literal(node: ast.AST) -> bool:
    try:
        ast.literal_eval(node)
        return True
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False


def _is_true(node: ast.AST) -> bool:
    return _is_literal(node) and bool(ast.literal_eval(node))


def _asks_the_clock_alone(test: ast.AST) -> bool:
    """`time.monotonic() < until`, and nothing that may come."""
    asked = [_name(one) for one in ast.walk(test) if isinstance(one, ast.Call)]
    return isinstance(test, ast.Compare) and any(name in _CLOCKS for name in asked) and set(asked) <= _CLOCKS


def _keeps_time(node: ast.AST) -> bool:
    return any(_name(one) in _CLOCKS for one in ast.walk(node) if isinstance(one, ast.Call))


def _grows(node: ast.AST, name: str) -> bool:
    """`n + 1`, `min(delay * 2, 60)`: a number of rounds, or a pause that gets longer."""
    names = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
    return name in names and names <= {name, "min", "max"} and isinstance(node, (ast.BinOp, ast.Call))


def _words(node: ast.AST) -> List[str]:
    if isinstance(node, ast.Name):
        return [node.id]
    if _is_literal(node):
        value = ast.literal_eval(node)
        return [repr(value)] if isinstance(value, str) and value else []
    return []
