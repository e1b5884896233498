"""Cleaned lines of one source as what they hold: processes, threads of several tools, messages. Pure."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from diagnostics.importers.grammars import GRAMMARS, TRACEBACK, Grammar, ThreadHead
from diagnostics.importers.messages import is_known
from diagnostics.model import Frame, Thread

MOST_THREADS = 20_000
MOST_FRAMES = 4_000
KEPT_MESSAGES = 400

_ENDS_TRACEBACK = re.compile(r"([A-Za-z_][\w.]*)(?::\s.*)?$")
_GDB_BEGINS = re.compile(r"\s*#\d+ ")
_CONTINUES = re.compile(r"\s{3,}\S")


@dataclass
class Open:
    """A thread that is being read."""

    grammar: Grammar
    head: ThreadHead
    frames: list[Frame] = field(default_factory=list)

    def thread(self, tid: int) -> Thread:
        frames = reversed(self.frames) if self.grammar.innermost_first else self.frames
        return Thread(tid, self.head.name, tuple(frames), self.head.holds_gil)


@dataclass
class Seen:
    """What the lines said of one process. `takes`: tool -> threads in the order of their heads, the newest of each."""

    pid: int = 0
    command: str = ""
    takes: dict[str, dict[int, Open]] = field(default_factory=dict)
    known: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_MESSAGES))
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_MESSAGES))
    interrupted: bool = False

    @property
    def messages(self) -> tuple[str, ...]:
        """Those that say something about a hang, then the last ones of any kind."""
        return tuple(dict.fromkeys((*self.known, *self.tail)))


def joined(lines: Iterable[str]) -> list[str]:
    """Lines with gdb's frames whole: on a terminal it breaks them, and indents what follows."""
    whole: list[str] = []
    for line in lines:
        breaks = whole and _GDB_BEGINS.match(whole[-1]) and _CONTINUES.match(line) and not _GDB_BEGINS.match(line)
        if breaks and len(whole[-1]) < 8192 and _continues_gdb(whole[-1], line):
            whole[-1] += " " + line.strip()
        else:
            whole.append(line)
    return whole


def _continues_gdb(frame: str, line: str) -> bool:
    return frame.count("(") > frame.count(")") or line.lstrip().startswith(("at ", "from "))


class Scanner:
    """Reads line by line; `seen` has an entry for each process that the lines speak of."""

    def __init__(self) -> None:
        self.seen = [Seen()]
        self._open: Open | None = None
        self._count = 0

    @property
    def _now(self) -> Seen:
        return self.seen[-1]

    def read(self, line: str) -> None:
        if self._is_process(line) or self._is_thread(line) or self._is_frame(line):
            return
        if self._open is not None and self._open.grammar is TRACEBACK:
            self._maybe_end_traceback(line)
        if is_known(line):
            self._now.known.append(line)
        elif line.strip() and not line.startswith("    "):  # source lines and locals are no messages
            self._now.tail.append(line)

    def _is_process(self, line: str) -> bool:
        for grammar in GRAMMARS:
            if head := grammar.process(line):
                self._open = None
                known = next((seen for seen in self.seen if seen.pid == head.pid), None)
                if known:
                    self.seen.remove(known)
                    self.seen.append(known)
                elif self._now.pid:
                    self.seen.append(Seen())
                self._now.pid = head.pid
                self._now.command = head.command or self._now.command
                return True
        return False

    def _is_thread(self, line: str) -> bool:
        for grammar in GRAMMARS:
            if head := grammar.thread(line):
                self._begin(grammar, head)
                return True
        return False

    def _begin(self, grammar: Grammar, head: ThreadHead) -> Open:
        self._count += 1
        opened = Open(grammar, head)
        if self._count <= MOST_THREADS:
            threads = self._now.takes.setdefault(grammar.tool, {})
            key = head.tid or head.pthread or -self._count
            threads.pop(key, None)  # the newest of several dumps counts
            threads[key] = opened
        self._open = opened
        return opened

    def _is_frame(self, line: str) -> bool:
        for grammar in GRAMMARS:
            frame = grammar.frame(line)
            if frame is None:
                continue
            current = self._open
            if current is None or current.grammar is not grammar or _begins_anew(line, current):
                if grammar is TRACEBACK or (frame.native and not grammar.native):
                    return False  # without a header it may be anything: a warning's, words in brackets
                current = self._begin(grammar, ThreadHead())
            if len(current.frames) < MOST_FRAMES:
                current.frames.append(frame)
            return True
        return False

    def _maybe_end_traceback(self, line: str) -> None:
        """An interruption shows where the program stood; any other error ended it, and is a message."""
        end = _ENDS_TRACEBACK.match(line)
        if not end or line.startswith(" ") or self._open is None:
            return
        if end[1].endswith("KeyboardInterrupt"):
            self._now.interrupted = True
        else:
            tracebacks = self._now.takes.get(TRACEBACK.tool, {})
            for key in [key for key, opened in tracebacks.items() if opened is self._open]:
                del tracebacks[key]
        self._open = None


def _begins_anew(line: str, current: Open) -> bool:
    """Whether a numbered frame starts another stack, whose header is lost."""
    return bool(current.frames) and line.lstrip().startswith("#0 ")


def scan(lines: Iterable[str]) -> list[Seen]:
    """Every process that the lines speak of, with what they say of it."""
    scanner = Scanner()
    for line in joined(lines):
        scanner.read(line)
    return [seen for seen in scanner.seen if seen.pid or seen.takes or seen.tail or seen.known]
