"""How each tool writes a process, a thread and a frame. One line in, a value or None out.

The frames of different tools cannot be taken for one another, so a text may hold several tools' dumps, cut
anywhere, with log lines between them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from diagnostics.model import Frame
from diagnostics.stacks.demangle import native_frame
from diagnostics.stacks.tools import eustack, gdb


class ThreadHead(NamedTuple):
    """`tid` 0: the tool gives none. `pthread`: the address by which libpthread knows it, 0 where not told."""

    tid: int = 0
    name: str = ""
    pthread: int = 0
    holds_gil: bool = False
    main: bool = False


class ProcessHead(NamedTuple):
    pid: int
    command: str = ""


class Grammar(NamedTuple):
    """`innermost_first`: the order in which frames are written. `native`: it shows no Python frames."""

    tool: str
    thread: Callable[[str], ThreadHead | None]
    frame: Callable[[str], Frame | None]
    process: Callable[[str], ProcessHead | None] = lambda line: None
    innermost_first: bool = True
    native: bool = False


_SPY_PROCESS = re.compile(r"\s*Process (\d+): (.*)$")
_SPY_THREAD = re.compile(r'\s*Thread (0x[0-9A-Fa-f]+|\d+) \((idle|active)?(\+?gil)?\)(?:: "(.*)")?$')
_SPY_PYTHON = re.compile(r"\s*(\S.*?) \(([^()]*\.pyx?|<[^()]*>):(\d+)\)$")
_SPY_NATIVE = re.compile(r"\s+(\S.*?) \(([\w.+-]*(?:\.so[\w.]*|\.\w{1,3}|[a-z][\w.+-]*))(?::(\d+))?\)$")


def _spy_process(line: str) -> ProcessHead | None:
    match = _SPY_PROCESS.match(line)
    return ProcessHead(int(match[1]), match[2]) if match else None


def _spy_thread(line: str) -> ThreadHead | None:
    match = _SPY_THREAD.match(line)
    if match is None:
        return None
    number, name = int(match[1], 0), match[4] or ""
    is_address = match[1].startswith("0x")
    return ThreadHead(
        tid=0 if is_address else number, name=name, pthread=number if is_address else 0,
        holds_gil=bool(match[3]), main=name == "MainThread",
    )  # fmt: skip


def _spy_frame(line: str) -> Frame | None:
    if python := _SPY_PYTHON.match(line):
        return Frame(python[1], python[2], int(python[3]))
    if native := _SPY_NATIVE.match(line):
        return native_frame("???" if native[1].startswith("0x") else native[1], native[2], int(native[3] or 0))
    return None


_STACK_THREAD = re.compile(r"\s*Traceback for thread (\d+)(?: \((.*?)\))? (?:\[(.*?)\] )?\(most recent call last\):$")
_STACK_EMPTY = re.compile(r"\s*The frame stack for thread (\d+) is empty")
_STACK_FRAME = re.compile(r'\s*\((Python|C)\) File "(.*?)", line (\d+), in (.*)$')
_LIBRARY = re.compile(r"(?: \(inlined\))? \(([^()]+)\)$")


def _stack_thread(line: str) -> ThreadHead | None:
    if empty := _STACK_EMPTY.match(line):
        return ThreadHead(int(empty[1]))
    match = _STACK_THREAD.match(line)
    return ThreadHead(int(match[1]), match[2] or "", holds_gil="Has the GIL" in (match[3] or "")) if match else None


def _stack_frame(line: str) -> Frame | None:
    match = _STACK_FRAME.match(line)
    if match is None:
        return None
    if match[1] == "Python":
        return Frame(match[4], match[2], int(match[3]))
    library = _LIBRARY.search(match[4])
    return native_frame(
        match[4][: library.start()] if library else match[4], library[1] if library else "", int(match[3])
    )


def _gdb_thread(line: str) -> ThreadHead | None:
    head = gdb.thread_of(line.strip())
    return ThreadHead(head.tid, head.name, head.pthread, main=line.strip().startswith("Thread 1 ")) if head else None


_GDB_FRAME = re.compile(r"#\d+ +(?:0x[0-9a-f]+ in \S|[^0\s].* \()")
_GDB_PYTHON = re.compile(r"#\d+ +Frame 0x[0-9a-f]+, for file (.*?), line (\d+), in (\w+)")


def _gdb_frame(line: str) -> Frame | None:
    line = line.strip()
    if python := _GDB_PYTHON.match(line):  # py-bt-full
        return Frame(python[3], python[1], int(python[2]))
    return gdb.frame_of(line) if _GDB_FRAME.match(line) else None


_EU_PROCESS = re.compile(r"\s*PID (\d+) - (?:process|core)$")


def _eu_process(line: str) -> ProcessHead | None:
    match = _EU_PROCESS.match(line)
    return ProcessHead(int(match[1])) if match else None


def _eu_thread(line: str) -> ThreadHead | None:
    tid = eustack.thread_of(line.strip())
    return ThreadHead(tid) if tid else None


def _eu_frame(line: str) -> Frame | None:
    line = line.strip()
    return None if " in " in line[:40] else eustack.frame_of(line)


_FAULT_THREAD = re.compile(
    r"\s*(?:(Current thread|Thread) (0x[0-9a-f]+)(?: \[(.*?)\])?|Stack) \(most recent call first\):$"
)
_FAULT_FRAME = re.compile(r'\s*File "(.*?)", line (\d+|\?\?\?) in (.+)$')


def _fault_thread(line: str) -> ThreadHead | None:
    match = _FAULT_THREAD.match(line)
    return ThreadHead(name=match[3] or "", pthread=int(match[2] or "0", 16)) if match else None


def _fault_frame(line: str) -> Frame | None:
    match = _FAULT_FRAME.match(line)
    return Frame(match[3], match[1], int(match[2]) if match[2].isdigit() else 0) if match else None


_TRACE_HEAD = re.compile(r"[\s^C]*Traceback \(most recent call last\):$")
_TRACE_FRAME = re.compile(r'\s*File "(.*?)", line (\d+), in (.+)$')


def _trace_thread(line: str) -> ThreadHead | None:
    return ThreadHead(name="MainThread", main=True) if _TRACE_HEAD.match(line) else None


def _trace_frame(line: str) -> Frame | None:
    match = _TRACE_FRAME.match(line)
    return Frame(match[3], match[1], int(match[2])) if match else None


TRACEBACK = Grammar("traceback", _trace_thread, _trace_frame, innermost_first=False)

GRAMMARS = (
    Grammar("py-spy", _spy_thread, _spy_frame, _spy_process),
    Grammar("pystack", _stack_thread, _stack_frame, innermost_first=False),
    Grammar("gdb", _gdb_thread, _gdb_frame, native=True),
    Grammar("eu-stack", _eu_thread, _eu_frame, _eu_process, native=True),
    Grammar("faulthandler", _fault_thread, _fault_frame),
    TRACEBACK,
)
