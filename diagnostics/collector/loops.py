"""Loops that only wait, told by their source: what they ask again and again, and what would have to change.

A thread that polls looks the same as one that computes: it runs, or sleeps shortly. The text of the loop tells them
apart. One that has an end, and whose body keeps nothing and calls nothing for its effect, can only wait for somebody
else. One that works on variables of its own alone goes on for ever once these have values that they had before.

What cannot be told counts as work. Pure, but for the cache. CPython 3.6, the standard library alone.
"""

import ast
import re
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple, Union

from diagnostics.collector.syntax import (
    calls_in,
    first_line,
    is_in_last_round,
    is_literal,
    is_true,
    last_line,
    leaves_loop,
    name_of,
    names_read,
    never_ends,
    own_nodes,
    own_nodes_of,
    staying,
    stores,
    targets_of,
    whiles_in,
)

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
        "format", "kill", "waitpid", "query", "unpack", "unpack_from", "from_bytes", "calcsize",
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
_MAY_WAKE = frozenset(("get_nowait", "release", "kill", "close", "select", "refresh", "reload", "query"))
"""Of these, what may end another thread's wait."""
_TELLS = frozenset(
    (
        "open", "write", "writelines", "write_text", "fsync", "fileno", "rename", "dumps", "dump", "append", "extend",
        "add", "update", "items", "keys", "values", "copy", "count", "index", "split", "splitlines", "rstrip", "lstrip",
        "ljust", "rjust", "center", "zfill", "upper", "strftime", "isoformat", "localtime", "gmtime", "ctime",
        "total_seconds", "timestamp", "getrusage", "virtual_memory", "memory_info", "memory_full_info", "cpu_percent",
        "cpu_count", "getLogger", "critical", "active_count", "current_thread", "most_common", "mean", "median",
        "set_postfix", "set_postfix_str", "sendto", "gauge", "incr", "timing", "observe", "get_running_loop",
        "get_event_loop", "all_tasks", "current_task",
    )
)  # fmt: skip
"""Methods that work on data, or write."""
_BUILDS = frozenset(
    ("list", "dict", "tuple", "set", "frozenset", "divmod", "reversed", "map", "filter", "type", "repr", "id", "hash")
)
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
    makes: bool = False  # it tries to make a file or folder that may be there: so are locks taken by a name


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
        for one in self.inside(function, line)[:1]:
            around = [node for node in whiles_in(one) if node.lineno <= line <= last_line(node)]
            for loop in sorted(around, key=lambda node: -node.lineno):
                read = _Reading(loop, one, self).loop(function.rpartition(".")[2])
                if read and not is_in_last_round(loop, line):
                    return read._replace(serves=any(map(never_ends, around)))
        return None

    def tells_at(self, function: str, line: int) -> bool:
        """Whether a loop around this line goes on until others have done something, and brings them nothing.

        It sleeps, and tells how it goes, in whatever words: nothing that it calls could wake another thread.
        """
        around = (
            (one, loop)
            for one in self.inside(function, line)
            for loop in whiles_in(one)
            if loop.lineno <= line <= last_line(loop)
        )
        return any(
            (never_ends(loop) or _Reading(loop, one, self).waits_for_others())
            and self._wakes_nobody([loop.test, *staying(loop.body)])
            for one, loop in around
        )

    def tells(self, name: str) -> bool:
        """Whether a function of this file wakes nobody."""
        name = name.rpartition(".")[2]
        return name in self._functions and self._wakes_nobody(self._functions[name], _DEEP)

    def _wakes_nobody(self, parts: Iterable[ast.AST], depth: int = _DEEP) -> bool:
        nodes = list(own_nodes_of(parts))
        awaits = [node for node in nodes if isinstance(node, ast.Await) and name_of(node.value) != "sleep"]
        hidden = bool(awaits) or any(isinstance(node, (ast.Yield, ast.YieldFrom)) for node in nodes)
        return depth > 0 and not hidden and all(self._call_wakes_nobody(call, depth) for call in calls_in(nodes))

    def _call_wakes_nobody(self, call: ast.Call, depth: int) -> bool:
        name = name_of(call)
        if name in self._functions:
            return self._wakes_nobody(self._functions[name], depth - 1)
        builtin = isinstance(call.func, ast.Name) and name in _BUILDS
        looks_up = name == "get" and bool(call.args) and is_literal(call.args[0]) and len(call.args) < 3
        return builtin or looks_up or name in _TELLS or name in (_ASKS | _HARMLESS) - _MAY_WAKE

    def serves_at(self, function: str, line: int) -> bool:
        """Whether the line is in a loop that has no end, as programs have that serve until they are ended."""
        inside = self.inside(function, line)
        return any(
            never_ends(node) and node.lineno <= line <= last_line(node) for one in inside for node in whiles_in(one)
        )

    def inside(self, function: str, line: int) -> List[_Function]:
        """Functions of that name around the line; of `<module>` the file itself."""
        name = function.rpartition(".")[2]
        if name == "<module>":
            return [self._tree]
        return [one for one in self._functions.get(name, ()) if first_line(one) <= line <= last_line(one)]

    def has(self, name: str) -> bool:
        return name in self._functions

    def keeps_state(self, name: str) -> bool:
        """Whether a function of this file evidently changes what is not its own, so that its next answer may differ."""
        return any(_changes_others(one) for one in self._functions.get(name, ()))

    def is_pure(self, name: str, depth: int = _DEEP) -> bool:
        """Whether a function of this file only asks; of lambdas, which have no names, whether all do."""
        name = name.rpartition(".")[2]
        if name == "<lambda>":
            bodies = [node.body for node in ast.walk(self._tree) if isinstance(node, ast.Lambda)]
            return all(name_of(call) in _ASKS for call in calls_in(own_nodes_of(bodies)))
        found = self._functions.get(name, [])
        if len(found) != 1 or depth <= 0:
            return False
        own = list(own_nodes(found[0]))[1:]
        changes = any(
            isinstance(node, (ast.Global, ast.Nonlocal, ast.Yield, ast.Await))
            or (stores(node) and not isinstance(node, ast.Name))
            for node in own
        )
        return not changes and all(
            name_of(node) in _ASKS or self.is_pure(name_of(node), depth - 1) for node in calls_in(own)
        )


class _Reading(object):
    """One loop being read."""

    def __init__(self, loop: ast.While, function: _Function, source: Source) -> None:
        self._loop, self._function, self._source = loop, function, source
        self._body = [loop.test] + list(staying(loop.body))  # type: List[ast.AST]
        self._nodes = [node for part in self._body for node in own_nodes(part)]

    def loop(self, name: str) -> Optional[Loop]:
        tests = list(self._tests())
        if not tests or self._has_effects():
            return None
        sleeps = any(name_of(node) in _HARMLESS - _ASKS for node in calls_in(self._nodes))
        counts = self._counts(sleeps)
        keeps = {node.id for node in self._nodes if isinstance(node, ast.Name) and stores(node)} - counts
        unknown = [node for node in calls_in(self._nodes) if not self._only_asks(node)]
        iterates = bool(keeps) and all(isinstance(node.func, ast.Name) for node in unknown) and self._iterates(keeps)
        spins = not unknown
        limited = self._is_limited(tests, counts)
        asks = sleeps or (spins and not iterates)
        if (limited and not sleeps) or not (asks or iterates):
            return None
        said = [node for test in tests for node in ast.walk(test)]
        return Loop(
            function=name,
            condition=first_line(tests[-1]),
            asks=asks,
            limited=limited,
            until_ended=self._until_ended(tests),
            serves=False,
            until_time=all(map(_asks_the_clock_alone, tests)),
            counts=tuple(sorted(counts)),
            keeps=tuple(sorted(keeps)),
            called=tuple(sorted({name_of(call) for call in unknown})),
            calls=tuple(sorted({name for call in unknown for one in call.args for name in names_read(one)})),
            wanted=tuple(dict.fromkeys(word for node in said for word in _words(node))),
            makes=any(map(_makes_alone, calls_in(said))),
        )

    def waits_for_others(self) -> bool:
        """Whether it has an end, and neither a number of rounds nor the time brings it."""
        tests = list(self._tests())
        return bool(tests) and not self._is_limited(tests, self._counts(sleeps=True))

    def _tests(self) -> Iterator[ast.AST]:
        """What decides whether it goes on; what is tried counts, where the loop is left if it succeeds."""
        if not is_true(self._loop.test):
            yield self._loop.test
        for node in own_nodes_of(self._loop.body):
            if isinstance(node, ast.If) and (leaves_loop(node.body) or leaves_loop(node.orelse)):
                yield node.test
            elif isinstance(node, ast.Try) and leaves_loop(node.body + node.orelse):
                yield node.body[0]

    def _has_effects(self) -> bool:
        outer = {
            name
            for node in own_nodes(self._function)
            if isinstance(node, (ast.Global, ast.Nonlocal))
            for name in node.names
        }
        counted = {
            id(node.target) for node in self._nodes if isinstance(node, ast.AugAssign) and is_literal(node.value)
        }
        for node in self._nodes:
            if isinstance(node, (ast.Attribute, ast.Subscript)) and stores(node) and id(node) not in counted:
                return True
            if isinstance(node, ast.Name) and stores(node) and node.id in outer and id(node) not in counted:
                return True
            if isinstance(node, (ast.Yield, ast.YieldFrom, ast.Await, ast.Delete)):
                return True
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and not self._only_asks(node.value):
                return True
        return False

    def _is_harmless(self, call: ast.Call) -> bool:
        writes = (
            name_of(call) == "write"
            and isinstance(call.func, ast.Attribute)
            and name_of(call.func.value) in ("stdout", "stderr")
        )
        return name_of(call) in _HARMLESS or writes or self._source.is_pure(name_of(call))

    def _only_asks(self, call: ast.Call) -> bool:
        return name_of(call) in _ASKS or self._is_harmless(call)

    def _counts(self, sleeps: bool) -> Set[str]:
        found: Set[str] = set()
        for node in self._nodes:
            if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name) and is_literal(node.value):
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
            any(isinstance(n, ast.Name) and n.id in keeps for target in targets_of(node) for n in ast.walk(target))
            and (isinstance(node, ast.AugAssign) or bool(keeps & names_read(node)))
            for node in self._nodes
        )

    def _is_limited(self, tests: Iterable[ast.AST], counts: Set[str]) -> bool:
        """Whether it gives up after a number of rounds or a time."""
        for test in tests:
            for node in ast.walk(test):
                if isinstance(node, ast.Compare):
                    within = list(ast.walk(node))
                    if any(isinstance(n, ast.Name) and n.id in counts for n in within) or any(
                        name_of(n) in _CLOCKS for n in within if isinstance(n, ast.Call)
                    ):
                        return True
        return False

    def _until_ended(self, tests: List[ast.AST]) -> bool:
        """By its only condition, a flag that is named so."""
        names = [word for node in ast.walk(tests[0]) for word in [name_of(node)] if word]
        asked = {name_of(node) for node in ast.walk(tests[0]) if isinstance(node, ast.Call)}
        return len(tests) == 1 and asked <= _OF_FLAGS and any(_UNTIL_ENDED.search(word) for word in names)


def _changes_others(function: _Function) -> bool:
    """Whether it sets, or calls for its effect, what it has not made itself."""
    nodes = list(own_nodes(function))[1:]
    made = {node.id for node in nodes if isinstance(node, ast.Name) and stores(node)}
    for node in nodes:
        if isinstance(node, (ast.Global, ast.Nonlocal, ast.Yield, ast.YieldFrom, ast.Await)):
            return True
        if isinstance(node, (ast.Attribute, ast.Subscript)) and stores(node) and _root(node) not in made:
            return True
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            called = node.value.func
            of_its_own = isinstance(called, ast.Attribute) and _root(called) in made
            if not of_its_own and name_of(called) not in _HARMLESS:
                return True
    return False


def _root(node: ast.AST) -> str:
    """`a` of `a.b[0].c`."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _makes_alone(call: ast.Call) -> bool:
    """Whether it makes a file, link or folder only where none of that name is there."""
    words = [node for one in (*call.args, *(word.value for word in call.keywords)) for node in ast.walk(one)]
    flags = {name_of(node) for node in words}
    modes = {ast.literal_eval(one) for one in call.args[1:2] if is_literal(one)}
    return name_of(call) in ("mkdir", "link", "symlink", "hardlink_to", "symlink_to") or (
        name_of(call) == "open" and ("O_EXCL" in flags or any("x" in str(mode) for mode in modes))
    )


def _asks_the_clock_alone(test: ast.AST) -> bool:
    """`time.monotonic() < until`, and nothing that may come."""
    asked = [name_of(one) for one in ast.walk(test) if isinstance(one, ast.Call)]
    return isinstance(test, ast.Compare) and any(name in _CLOCKS for name in asked) and set(asked) <= _CLOCKS


def _keeps_time(node: ast.AST) -> bool:
    return any(name_of(one) in _CLOCKS for one in ast.walk(node) if isinstance(one, ast.Call))


def _grows(node: ast.AST, name: str) -> bool:
    """`n + 1`, `min(delay * 2, 60)`: a number of rounds, or a pause that gets longer."""
    names = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
    return name in names and names <= {name, "min", "max"} and isinstance(node, (ast.BinOp, ast.Call))


def _words(node: ast.AST) -> List[str]:
    if isinstance(node, ast.Name):
        return [node.id]
    if is_literal(node):
        value = ast.literal_eval(node)
        return [repr(value)] if isinstance(value, str) and value else []
    return []
