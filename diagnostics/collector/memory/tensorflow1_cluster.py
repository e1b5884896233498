"""The cluster that a process of distributed TensorFlow belongs to: each task with its address.

What a program makes up from its arguments stands in no environment and no command line, but every server keeps, for
each job, a map from a task's number to its address, to make connections from (`SparseGrpcChannelCache`: the job's name,
then the map). A task whose devices are known besides has answered once. Strings have both forms that libstdc++ knows.
"""

import re
from typing import Dict, FrozenSet, Iterator, NamedTuple, Set, Tuple

from diagnostics.collector.memory import search
from diagnostics.collector.memory.process import NEW, OLD, Memory, decoded

_PORT = re.compile(rb":(\d{2,5})\0")
_HOST = re.compile(rb"(?:[A-Za-z0-9_][\w.-]{0,250}|\[[0-9a-fA-F:]{2,39}\])$")
_DEVICE = re.compile(rb"/job:([A-Za-z_]\w{0,60})/replica:0/task:(\d{1,6})/device:CPU:0\0")
_JOB = re.compile(rb"[A-Za-z_]\w{0,60}$")
_LONGEST_HOST = 251
_MOST_TEXTS = 20000
_MOST_TASKS = 10000
_DEEPEST = 64
_KEY, _VALUE = 32, 40
"""In a node of a std::map from an int to a string: its key and its value."""
_LARGEST_INDEX = 1 << 20
LARGEST = 2 << 30
"""Bytes of one process that are looked through."""


class Task(NamedTuple):
    """As `diagnostics.model.Task`."""

    rank: str
    address: str
    answered: bool


class _Texts(NamedTuple):
    addresses: Dict[int, bytes]  # where the characters are -> text
    answered: FrozenSet[str]


def tasks_of(memory: Memory) -> Tuple[Task, ...]:
    """All tasks of the cluster, () where the process has none. Each is in a map of its own job."""
    runs = search.used(memory)
    if search.size_of(runs) > LARGEST:
        return ()
    texts = _texts(memory, runs)
    found: Dict[str, str] = {}
    for place, target in search.find(memory, runs, texts.addresses):
        node = place - _VALUE
        key = memory.word(node + _KEY) & 0xFFFFFFFF
        job = _job_of(memory, node) if key < _LARGEST_INDEX else ""
        if job:
            found.setdefault("%s:%d" % (job, key), decoded(texts.addresses[target]))
    return tuple(Task(name, address, name in texts.answered) for name, address in sorted(found.items())[:_MOST_TASKS])


def _texts(memory: Memory, runs: search.Runs) -> _Texts:
    addresses: Dict[int, bytes] = {}
    answered: Set[str] = set()
    for start, data in search.chunks(memory, runs):
        for match in _PORT.finditer(data):
            host = _HOST.search(data[max(match.start() - _LONGEST_HOST, 0) : match.start()])
            at = match.start() - len(host.group()) if host else -1
            if host and len(addresses) < _MOST_TEXTS and at % 8 == 0:
                addresses[start + at] = data[at : match.end() - 1]
        answered.update("%s:%d" % (match.group(1).decode(), int(match.group(2))) for match in _DEVICE.finditer(data))
    return _Texts(addresses, frozenset(answered))


def _job_of(memory: Memory, node: int) -> str:
    """What stands before the map that the node is in: the job's name. "" where no such map is."""
    for _ in range(_DEEPEST):
        above = memory.word(node + 8)
        if not above or memory.word(node) & 0xFFFFFFFF > 1:  # the colour
            return ""
        if memory.word(above + 8) == node:
            return next(_names_before(memory, above - 8), "")
        node = above
    return ""


def _names_before(memory: Memory, tree: int) -> Iterator[str]:
    """The string that ends where the map begins, in either form."""
    for width in (NEW, OLD):
        body = memory.read(tree - width, width)
        text = memory.text(tree - width, body, 0, width) if len(body) == width else None
        if text and _JOB.match(text):
            yield decoded(text)
