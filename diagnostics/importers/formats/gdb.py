"""gdb: `thread apply all bt`, and sessions at its prompt with `info threads`, `thread 3`, `bt`."""

from __future__ import annotations

import itertools
import re

from diagnostics.importers.formats.grammar import Grammar, ThreadHead
from diagnostics.model import Frame
from diagnostics.stacks.tools import gdb

_PROMPT = re.compile(r"\s*(?:\(gdb\) *)+")
_LISTED = re.compile(
    r'\s*(\*)? *(\d+) +((?:Thread 0x[0-9a-f]+ \(LWP \d+\)|LWP \d+|process \d+)(?: ".*?")?) +(\S.*)$'
)
_SWITCHED = re.compile(r"\[(?:Switching to thread|Current thread is) (\d+) \((.*)\)\]")
_COMMAND = re.compile(r"(?:bt|backtrace|where)\b")
_FRAME = re.compile(r"#\d+ +(?:0x[0-9a-f]+ in \S|[^0\s].* \(|<signal handler)")
_BEGINS = re.compile(r"\s*(?:\(gdb\) *)?#\d+ ")
_CONTINUES = re.compile(r"\s{3,}\S")
_ADDRESS_LAST = re.compile(r"(#\d+ .*\S) \(at 0x[0-9a-f]+\)$")
_NUMBER = re.compile(r"#(\d+) ")
_NEXT = re.compile(r"(?<!\s)\s{8,}(?=#\d+ +(?:0x[0-9a-f]+ in )?\S)")  # a terminal filled the line
_MUTEX = re.compile(
    r"pthread_mutex_\w*lock\w* \((?:m|mutex|__mutex)=(0x[0-9a-f]+)|lll_lock_wait \(futex=(?:\w+@entry=)?(0x[0-9a-f]+)"
)
LONGEST = 8192


def prepare(lines: list[str]) -> list[str]:
    """Frames whole: on a terminal gdb breaks them, and indents what follows. Prompts are lines of their own."""
    whole: list[str] = []
    for line in itertools.chain.from_iterable(map(_split, _innermost_first(lines))):
        if prompt := _PROMPT.match(line):
            whole.append("(gdb)")
            line = line[prompt.end() :]
        if listed := _LISTED.match(line):
            thread = f"Thread {listed[2]} ({_unnamed(listed[3])}):"
            whole += [thread, f"#0  {listed[4]}"] if listed[4] != "(running)" else [thread]
        elif whole and _continues(whole[-1], line):
            whole[-1] += " " + line.strip()
        else:
            whole.append(line)
    return whole


def _innermost_first(lines: list[str]) -> list[str]:
    """With stacks turned round whose numbers fall, line by line, down to 0; an address behind a frame is left out."""
    lines = [match[1] if (match := _ADDRESS_LAST.match(line)) else line for line in lines]
    made: list[str] = []
    run: list[str] = []
    for line in [*lines, ""]:
        number = _NUMBER.match(line)
        if run and not (number and int(number[1]) == int(run[-1][1 : run[-1].index(" ")]) - 1):
            made += reversed(run) if len(run) > 1 else run
            run = []
        if number:
            run.append(line)
        else:
            made.append(line)
    return made[:-1]


def _split(line: str) -> list[str]:
    return _NEXT.split(line) if _BEGINS.match(line) else [line]


def _unnamed(target: str) -> str:
    name = re.search(r' (".*")$', target)
    return f"{target[: name.start()]} {name[1]}" if name else target


def _continues(frame: str, line: str) -> bool:
    if not _BEGINS.match(frame) or not _CONTINUES.match(line) or _BEGINS.match(line) or len(frame) > LONGEST:
        return False
    return frame.count("(") > frame.count(")") or line.lstrip().startswith(("at ", "from "))


def _thread(line: str) -> ThreadHead | None:
    line = line.strip()
    if line == "(gdb)":
        return None
    if _COMMAND.fullmatch(line.split(" ")[0]) and len(line) < 40:
        return ThreadHead(current=True)
    if switched := _SWITCHED.match(line):
        line = f"Thread {switched[1]} ({switched[2]}):"
    head = gdb.thread_of(line)
    return ThreadHead(head.tid, head.name, head.pthread, main=line.startswith("Thread 1 ")) if head else None


def _frame(line: str) -> Frame | None:
    line = line.strip()
    if not _FRAME.match(line):
        return None
    frame = gdb.frame_of(line)
    return frame if frame and frame.function else None


def _mutex(line: str) -> str:
    match = _MUTEX.search(line)
    return (match[1] or match[2]) if match else ""


_MORE = re.compile(r"\[(?:New (?:LWP|Thread)|Current thread is) ")
"""Of a core file gdb tells the current thread only where there are others."""


def _more(line: str) -> bool:
    return bool(_MORE.match(line))


GRAMMAR = Grammar("gdb", _thread, _frame, native=True, prepare=prepare, mutex=_mutex, more=_more)
