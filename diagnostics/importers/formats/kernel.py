"""The kernel's own stacks: /proc/PID/stack and /proc/PID/wchan as people print them, and traces of dmesg."""

from __future__ import annotations

import re

from diagnostics.importers.formats.grammar import Grammar, ProcessHead, ThreadHead
from diagnostics.model import Frame
from diagnostics.stacks.position import KERNEL

_PATH = re.compile(r"/proc/(\d+)(?:/task/(\d+))?/(?:stack|wchan|status|syscall|stat)\b")
_BLOCKED = re.compile(r"(?:\[ *[+\d.]+\] )?INFO: task ([^\s:]+):(\d+) blocked (?:for more than|in I/O wait for more)")
_TASK = re.compile(r"(?:\[ *[+\d.]+\] )?task:(\S+)\s+state:(\w)\s.*\bpid:(\d+)")
_SHOWN = re.compile(r"(?:\[ *[+\d.]+\] )?(\S{1,40})\s+D(?:\s+[0-9a-f]{16})?\s+\d+\s+(\d+)\s+\d+ 0x[0-9a-f]+$")
_BEGINS = re.compile(r"(?:\[ *[+\d.]+\] )?\s*Call Trace:$")
_FRAME = re.compile(r"\s*\[<[0-9a-f]+>\] (?:\? )?([\w.]+)(?:\+0x[0-9a-f]+/0x[0-9a-f]+)?(?: \[(\w+)\])?$")
_TRACE = re.compile(
    r"(?:\[ *[+\d.]+\])?\s+(?:\[<[0-9a-f]+>\] )?(?:\? )?([\w.]+)\+0x[0-9a-f]+/0x[0-9a-f]+(?: \[(\w+)\])?$"
)
_WCHAN = re.compile(r"[a-z_][\w.]{3,60}(?=$|root@|\S+@\S+[:~])")


def prepare(lines: list[str]) -> list[str]:
    """What /proc/PID/wchan says, as a frame: a bare name in the line after the command."""
    made: list[str] = []
    for before, line in zip(["", *lines], _certain(lines), strict=False):
        name = _WCHAN.match(line.strip()) if re.search(r"/wchan\b", before) else None
        made.append(f"[<0>] {name[0]}" if name else line)
    return made


_GUESSED = re.compile(r"(?:\[ *[+\d.]+\])?\s+(?:\[<[0-9a-f]+>\] )?\? \w")


def _certain(lines: list[str]) -> list[str]:
    """Without the frames that the kernel only guesses (`? name`), in traces that have others."""
    made, trace = list(lines), list[int]()
    for index, line in enumerate([*lines, ""]):
        if trace and not _frame(line):
            if any(not _GUESSED.match(lines[at]) for at in trace if not _SCHEDULES.search(lines[at])):
                for at in trace:
                    made[at] = "" if _GUESSED.match(lines[at]) else lines[at]
            trace = []
        elif _frame(line) and (trace or _BEGINS.match(lines[index - 1]) or "<TASK>" in lines[index - 1]):
            trace.append(index)
    return made


_SCHEDULES = re.compile(r"\b(?:__)?schedule(?:_timeout|_preempt_disabled)?\+0x")


def _process(line: str) -> ProcessHead | None:
    if path := _PATH.search(line[:400]):
        return ProcessHead(int(path[1]))
    if blocked := _BLOCKED.match(line):
        return ProcessHead(int(blocked[2]), blocked[1])
    if shown := _SHOWN.match(line):
        return ProcessHead(int(shown[2]), shown[1])
    task = _TASK.match(line)
    return ProcessHead(int(task[3]), task[1]) if task else None


def _thread(line: str) -> ThreadHead | None:
    path = _PATH.search(line[:400])
    return ThreadHead(int(path[2] or path[1])) if path else None


def _frame(line: str) -> Frame | None:
    match = _FRAME.match(line) or _TRACE.match(line)
    return Frame(match[1], KERNEL, native=True) if match else None


GRAMMAR = Grammar("kernel", _thread, _frame, _process, native=True, prepare=prepare, rank=3)
