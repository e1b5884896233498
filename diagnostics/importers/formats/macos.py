"""macOS: the call graphs of `sample` and `spindump`. Outermost first; of a call that branches the first way in."""

from __future__ import annotations

import re

from diagnostics.importers.formats.grammar import Grammar, ProcessHead, ThreadHead
from diagnostics.model import Frame
from diagnostics.stacks.demangle import native_frame

_PROCESS = re.compile(r"(?:Process|Command):\s+(\S.*?) \[(\d+)\]|Analysis of sampling (\S.*?) \(pid (\d+)\)")
_THREAD = re.compile(
    r"\s*\d+ Thread_(\d+|0x[0-9a-f]+)(?:: +(\S.*?)|\s+(DispatchQueue_\d+): .*)?$"
    r"|\s*Thread (0x[0-9a-f]+)\s+(?:(?:DispatchQueue|Thread name)\W.*?\s+)?\d+ samples?\b"
)
_FRAME = re.compile(
    r"([\s+!:|*]*)\*?\d+ +(?:(\S.*?)  \(in ([^()]+)\)(?: \+ [\d,.]+)?  \[0x[0-9a-f,.]+\](?:  (\S+):(\d+))?"
    r"|(\S.*?) \+ \d+ \(([^()]+) \+ \d+\) \[0x[0-9a-f]+\](?: [\d-]+)?)$"
)


def prepare(lines: list[str]) -> list[str]:
    """One way through each thread's tree: what does not lie deeper than the line before it is another branch."""
    made: list[str] = []
    depth = -1
    for line in lines:
        frame = _FRAME.match(line)
        if frame is None:
            depth = -1 if _THREAD.match(line) else depth
        elif (here := len(frame[1])) > depth or frame[1] == "    ":
            depth = here
        else:
            continue
        made.append(line)
    return made


def _process(line: str) -> ProcessHead | None:
    match = _PROCESS.match(line.strip())
    return ProcessHead(int(match[2] or match[4]), match[1] or match[3]) if match else None


def _thread(line: str) -> ThreadHead | None:
    match = _THREAD.match(line)
    if match is None:
        return None
    return ThreadHead(int(match[1] or match[4], 0), match[2] or "", main="com.apple.main-thread" in line)


def _frame(line: str) -> Frame | None:
    match = _FRAME.match(line)
    if match is None:
        return None
    return native_frame(match[2] or match[6], match[4] or match[3] or match[7], int(match[5] or 0))


GRAMMAR = Grammar("sample", _thread, _frame, _process, innermost_first=False, native=True, prepare=prepare)
