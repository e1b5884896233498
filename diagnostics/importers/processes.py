"""What was seen in the lines of each source as processes, each under the rank that it is of. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from diagnostics.importers.formats import failed_collective
from diagnostics.importers.ranks import is_child, rank_in, rank_of_command
from diagnostics.importers.scan import Open, Scanner, Seen
from diagnostics.importers.stories import collectives_of, groups_named
from diagnostics.importers.vocabulary.base import fact
from diagnostics.model import BlockingCall, FactKind, Frame, LogFact, Process, Thread
from diagnostics.model.rank import child, parse
from diagnostics.model.rank import process as unnamed_process
from diagnostics.stacks.merge import merge_threads

_PYTHON_TOOLS = ("pystack", "py-spy", "py-bt", "faulthandler", "traceback", "austin", "asyncio")
_NATIVE_TOOLS = (
    "gdb", "lldb", "eu-stack", "editor", "kernel", "jstack", "goroutines", "sample", "windbg", "pstack", "call table",
)  # fmt: skip
_OUTLINE = 12
"""Frames of a failed collective's stack that its fact names."""


class Text(NamedTuple):
    """The lines that one source said, read. `source`: who said them, "" where nothing tells; `pid` likewise."""

    source: str
    pid: int
    scanner: Scanner


def name_of(pid: int) -> str:
    return str(unnamed_process(pid)) if pid else ""


def processes_of(texts: Sequence[Text], named: str, unnamed: str) -> tuple[tuple[Process, ...], tuple[str, ...]]:
    """The processes, and the ranks that the lines say there are.

    `named`: the rank that the file's name tells. What a line says of a rank that it names goes to that rank.
    """
    if any(scanner.has_whole_tracebacks for _, _, scanner in texts):
        for _, _, scanner in texts:
            if not scanner.has_whole_tracebacks:
                scanner.drop_cut_tracebacks()  # others have an end: nothing is concluded from what the paste cut
    processes: list[Process] = []
    said: dict[str, list[LogFact]] = {}
    for source, pid, scanner in texts:
        rank = (rank_in(source) or source) if source else named
        processes += _of_source(scanner.seen, rank, pid, unnamed)
        for other, facts in scanner.of_ranks.items():
            said.setdefault(other, []).extend(facts.values())
        speaker = rank_in(source)
        for member, facts in scanner.of_members.items():
            said.setdefault(speaker or member, []).extend(_of_speaker(one, speaker or member) for one in facts.values())
    telling = [process for process in processes if _says_something(process)]
    if not telling and not said:
        telling = [alarmed for process in processes if (alarmed := _with_alarms(process))]
    whole = _with_said(telling, said, named)
    return whole, _expected(whole)


_ALARM = re.compile(
    r"\b(?:errors?|exception|fail(?:ed|s|ure)?|timed?[- ]?out|hangs?|hanging|hung|stuck|stalled|deadlock\w*|killed"
    r"|abort(?:ed)?|lost|refused|unreachable|unresponsive|evicted|cancelled|out of memory|not respond\w*"
    r"|no heartbeat|taking more than)\b",
    re.I,
)
_MOST_ALARMS = 20


def _with_alarms(process: Process) -> Process | None:
    """A log in words that no vocabulary has: the lines in which something goes wrong, as they stand there."""
    lines = list(dict.fromkeys(line.strip() for line in process.log_tail if _ALARM.search(line)))[-_MOST_ALARMS:]
    facts = tuple(fact(FactKind.ERROR, line[:300], line) for line in lines)
    return msgspec.structs.replace(process, facts=facts) if facts else None


def _of_speaker(fact: LogFact, rank: str) -> LogFact:
    """What somebody said who gave only the rank in a process group, as said by that rank of the job."""
    index, member = str(parse(rank).index), fact.values["member"]
    values = {("rank" if name == "member" else name): value for name, value in fact.values.items()}
    if index == member:
        return msgspec.structs.replace(fact, values=values)
    words = re.sub(rf"\brank {member}\b", f"rank {index} (rank {member} of the group)", fact.words, count=1)
    values.update(rank=index, group_rank=member)
    return msgspec.structs.replace(fact, words=words, about=(rank,), values=values)


def _of_source(found: list[Seen], rank: str, pid: int, unnamed: str) -> list[Process]:
    """The first process that a source speaks of is the rank itself, others are its children where they look it."""
    made: list[Process] = []
    for index, seen in enumerate(found):
        number = seen.pid or (pid if not index else 0) or _main_tid(seen)
        own = rank_of_command(seen.command)
        made.append(_process(seen, own or seen.name or _name(seen, index, found, rank, number) or unnamed, number))
    return made


def _name(seen: Seen, index: int, found: list[Seen], rank: str, pid: int) -> str:
    if not index or not rank:
        return rank or name_of(pid)
    return str(child(rank, pid)) if is_child(seen.command, found[0].command) else name_of(pid)


def _process(seen: Seen, rank: str, pid: int) -> Process:
    collective = _stack_of_collective(seen)
    tools = [tool for tool in seen.takes if seen.takes[tool] and tool != failed_collective.TOOL]
    facts = tuple(seen.facts.values())
    return Process(
        rank=rank, pid=pid, host="", stacks_from="+".join(tools), threads=_threads_of(seen, tools, pid),
        command=(seen.command,) if seen.command else (), log_tail=seen.messages, dump=", ".join(tools) or "log",
        facts=facts + _called_from(collective), collectives=collectives_of(facts, collective),
        blocking_calls=_mutexes(seen, facts),
    )  # fmt: skip


_ADDRESS = re.compile(r"0x0*([0-9a-f]+)$")


def _mutexes(seen: Seen, facts: Sequence[LogFact]) -> tuple[BlockingCall, ...]:
    """The mutex that a thread waits for, by gdb's arguments, with the owner where somebody had it printed."""
    threads = {opened.head.tid: opened.mutex for opened in seen.takes.get("gdb", {}).values() if opened.head.tid}
    owners: dict[str, int] = {}
    for said in facts:
        if said.kind is FactKind.LOCK:
            printed = _ADDRESS.search(said.values.get("lock", ""))
            at = threads.get(int(said.values.get("thread", "0")), "")
            owners[f"0x{printed[1]}" if printed else at] = int(said.values["owner"])
    made = []
    for tid, mutex in threads.items():
        if mutex:
            owner = owners.get(mutex, 0)
            holder = owner if owner in threads else 0  # a thread that was not shown may be there all the same
            made.append(BlockingCall(tid, "futex", "mutex" if holder else "futex", mutex, holder=holder, owner=holder))
    return tuple(made)


def _threads_of(seen: Seen, tools: list[str], pid: int) -> tuple[Thread, ...]:
    """Python's view of one tool merged with the native view of another, where both are there."""
    heads = [opened.head for opened in seen.takes.get("gdb", {}).values()]
    addresses = {head.pthread: head.tid for head in heads if head.pthread}
    python = next((tool for tool in _PYTHON_TOOLS if tool in tools), "")
    native = next((tool for tool in _NATIVE_TOOLS if tool in tools), "")
    spoken = _threads(seen.takes[python], addresses, pid) if python else ()
    silent = _threads(seen.takes[native], addresses, pid) if native else ()
    more = [
        thread
        for tool in tools
        if tool not in (python, native)
        for thread in _threads(seen.takes[tool], addresses, pid)
    ]
    merged = python != "py-bt" and any(frame.native for thread in spoken for frame in thread.frames)
    threads = spoken if merged or not silent else merge_threads(spoken, silent)
    known = {thread.tid for thread in threads}
    return _main_first((*threads, *(thread for thread in more if thread.tid not in known)), pid, python)


def _main_tid(seen: Seen) -> int:
    """The main thread's id, which is the process's: said by gdb and py-spy, else the smallest that there is."""
    opened = [thread for takes in seen.takes.values() for thread in takes.values() if 0 < thread.head.tid < 1 << 32]
    main = [thread.head.tid for thread in opened if thread.head.main]
    return main[0] if main else min((thread.head.tid for thread in opened), default=0)


def _threads(takes: dict[int, Open], addresses: dict[int, int], pid: int) -> tuple[Thread, ...]:
    made = []
    for number, opened in enumerate(takes.values(), 1):
        head = opened.head
        tid = head.tid or addresses.get(head.pthread, 0) or (pid if head.main else 0) or head.pthread or number
        if opened.frames or head.tid:
            made.append(opened.thread(tid))
    return tuple(made)


def _main_first(threads: tuple[Thread, ...], pid: int, tool: str) -> tuple[Thread, ...]:
    """faulthandler writes the main thread last; elsewhere it has the process's id."""
    if tool == "faulthandler" and not any(thread.tid == pid for thread in threads):
        return threads[::-1]
    return tuple(sorted(threads, key=lambda thread: (thread.tid != pid, not _runs_script(thread), thread.tid)))


def _runs_script(thread: Thread) -> bool:
    """Old releases of py-spy write no names: only the main thread begins with the script itself."""
    return bool(thread.frames) and thread.frames[0].function == "<module>"


def _stack_of_collective(seen: Seen) -> tuple[Frame, ...]:
    takes = list(seen.takes.get(failed_collective.TOOL, {}).values())
    return takes[-1].thread(0).frames if takes else ()


def _called_from(stack: tuple[Frame, ...]) -> tuple[LogFact, ...]:
    if not stack:
        return ()
    inner = [f"{frame.function} ({frame.file.rpartition('/')[2]}:{frame.line})" for frame in reversed(stack)]
    words = "the collective that failed was called by " + ", in ".join(inner[:_OUTLINE])
    return (fact(FactKind.TIMED_OUT, words, "", function=stack[-1].function, file=stack[-1].file),)


def _says_something(process: Process) -> bool:
    return bool(process.threads or process.facts or process.collectives or (process.pid and process.command))


def _with_said(processes: Sequence[Process], said: dict[str, list[LogFact]], named: str) -> tuple[Process, ...]:
    """What watchdogs said goes to the rank that they name, whoever's log it stands in."""
    by_rank: dict[str, Process] = {}
    for process in processes:
        known = by_rank.get(process.rank)
        by_rank[process.rank] = _both(known, process) if known else process
    if len(by_rank) == 1 and len(said) == 1 and not named:
        # The only rank that a log speaks of is its own.
        (rank,), (process,) = said, by_rank.values()
        by_rank = {rank: msgspec.structs.replace(process, rank=rank)}
    groups = groups_named(fact for facts in said.values() for fact in facts)
    for rank, facts in said.items():
        known = by_rank.get(rank) or Process(rank, 0, "", dump="log")
        frames = next((one.frames for one in known.collectives if one.frames), ())
        collectives = known.collectives + collectives_of(facts, frames, groups)
        by_rank[rank] = msgspec.structs.replace(known, facts=known.facts + tuple(facts), collectives=collectives)
    return tuple(by_rank.values())


def _both(first: Process, second: Process) -> Process:
    """Two sources that speak for the same rank."""
    return msgspec.structs.replace(
        first, threads=first.threads + second.threads, facts=first.facts + second.facts,
        log_tail=first.log_tail + second.log_tail, collectives=first.collectives + second.collectives,
        pid=first.pid or second.pid, command=first.command or second.command,
        stacks_from=first.stacks_from or second.stacks_from, groups=first.groups or second.groups,
    )  # fmt: skip


def _expected(processes: Sequence[Process]) -> tuple[str, ...]:
    """Ranks that something was said of that says itself nothing: they exist, and their stacks are missing."""
    known = {process.rank for process in processes}
    about = (rank for process in processes for one in process.facts for rank in one.about)
    return tuple(dict.fromkeys(rank for rank in about if rank not in known))
