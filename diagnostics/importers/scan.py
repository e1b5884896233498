"""Cleaned lines of one source as what they hold: processes, threads of several tools, facts, messages. Pure."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from diagnostics.importers.formats import grammars
from diagnostics.importers.formats.grammar import Grammar, ThreadHead
from diagnostics.importers.headings import heading_of, marked
from diagnostics.importers.tracebacks import Tracebacks
from diagnostics.importers.vocabulary import Reader, Said
from diagnostics.model import FactKind, Frame, LogFact, Thread

MOST_THREADS = 20_000
MOST_FRAMES = 4_000
MOST_FACTS = 5_000
KEPT_MESSAGES = 400
_CUT_OFF = 1 << 48
"""Stands for the number of a thread that the text was cut before."""

_NAMED_CHILD = re.compile(r"Process (\w*Process-[\d:]+|\w+(?:-\d+)+):$")


@dataclass
class Open:
    """A thread that is being read. `mutex`: the address of the one that it waits for, "" where not told."""

    grammar: Grammar
    head: ThreadHead
    frames: list[Frame] = field(default_factory=list)
    mutex: str = ""

    def thread(self, tid: int) -> Thread:
        frames = reversed(self.frames) if self.grammar.innermost_first else self.frames
        return Thread(tid, self.head.name, tuple(frames), self.head.holds_gil)


@dataclass
class Seen:
    """What the lines said of one process. `takes`: tool -> threads in the order of their heads, the newest of each.

    `name`: the process's own, where it has no number.
    """

    pid: int = 0
    command: str = ""
    name: str = ""
    takes: dict[str, dict[int, Open]] = field(default_factory=dict)
    facts: dict[tuple[str, str], LogFact] = field(default_factory=dict)
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_MESSAGES))
    known: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_MESSAGES))

    @property
    def messages(self) -> tuple[str, ...]:
        """Those that say something about a hang, then the last ones of any kind."""
        return tuple(dict.fromkeys((*self.known, *self.tail)))

    @property
    def empty(self) -> bool:
        return not (self.pid or self.takes or self.facts or self.tail)


def add_fact(facts: dict[tuple[str, str], LogFact], fact: LogFact) -> None:
    """A fact that is said again counts up; of very many kinds the rest is left."""
    known = facts.get((fact.kind, fact.words))
    if known:
        facts[fact.kind, fact.words] = msgspec.structs.replace(known, times=known.times + 1)
    elif len(facts) < MOST_FACTS:
        facts[fact.kind, fact.words] = fact


class Scanner:
    """Reads line by line; `seen` has an entry for each process that the lines speak of, the newest last.

    `of_ranks` has what the lines say of ranks that they name, `of_members` what speakers say that give their rank in
    a process group only.
    """

    def __init__(self) -> None:
        self.seen = [Seen()]
        self.of_ranks: dict[str, dict[tuple[str, str], LogFact]] = {}
        self.of_members: dict[str, dict[tuple[str, str], LogFact]] = {}
        self._reader = Reader()
        self._grammars = grammars()
        self._open: Open | None = None
        self._at = 0  # the thread that a debugger is at
        self._count = 0
        self._child = ""  # whose traceback comes next
        self._main_shown = False  # the main thread of the process that is being read
        self._several: set[str] = set()  # tools that told of more threads of a process than one
        self._tracebacks = Tracebacks()
        self._of_stacks = deque([False, False], maxlen=2)  # whether the last two lines were lines of stacks

    @property
    def _now(self) -> Seen:
        return self.seen[-1]

    def read(self, line: str) -> None:
        if named := _NAMED_CHILD.match(line.strip()):
            self._child = named[1]
            return
        self._several |= {grammar.tool for grammar in self._grammars if grammar.more(line)}
        head = self._is_process(line)
        of_stack = self._is_thread(line) or head or self._is_frame(line)
        self._of_stacks.append(of_stack)
        if of_stack:
            self._say(line, keep=False)
            return
        for error in self._tracebacks.read(line):
            self._drop(error.opened) if not error.waited else None
            add_fact(self._now.facts, error.fact)
        self._say(line, keep=bool(line.strip()) and not line.startswith("    "))

    def begins_stack(self, line: str) -> bool:
        """Whether it is a process's or thread's head, or a frame that needs none."""
        return any(
            grammar.process(line) or grammar.thread(line) or (grammar.headless and grammar.frame(line))
            for grammar in self._grammars
        )

    def finish(self) -> None:
        for one in self._reader.finish():
            self._add(one)

    def _add(self, one: Said) -> None:
        fact = one.fact
        if fact.kind is FactKind.LOCK and self._at:
            fact = msgspec.structs.replace(fact, values={**fact.values, "thread": str(self._at)})
        said = self.of_members if one.member else self.of_ranks
        add_fact(said.setdefault(one.rank, {}) if one.rank else self._now.facts, fact)

    def _say(self, line: str, keep: bool) -> None:
        known = False
        for one in self._reader.read(line):
            known = True
            self._add(one)
        if known:
            self._now.known.append(line)
        elif keep:  # source lines and locals are no messages
            self._now.tail.append(line)

    def _is_process(self, line: str) -> bool:
        if heading := heading_of(line):
            name = f"worker:{heading.rank}" if heading.rank >= 0 else ""
            self._begin_process(heading.pid, heading.command, name)
            return True
        for grammar in self._grammars:
            if head := grammar.process(line):
                self._begin_process(head.pid, head.command)
                return True
        return False

    def _begin_process(self, pid: int, command: str, name: str = "") -> None:
        """`name`: the rank that a heading tells; in containers several have the same process id."""
        self._open = None
        known = next((seen for seen in self.seen if pid and seen.pid == pid and name in ("", seen.name)), None)
        if known:
            self.seen.remove(known)
            self.seen.append(known)
        elif self._now.pid or self._now.takes:
            self.seen.append(Seen())
        self._now.pid = pid
        self._now.command = command or self._now.command
        self._now.name = name or self._now.name
        self._main_shown = False

    def _is_thread(self, line: str) -> bool:
        for grammar in self._grammars:
            if head := grammar.thread(line):
                self._begin(grammar, head)
                return True
        return False

    def _begin(self, grammar: Grammar, head: ThreadHead) -> Open:
        self._count += 1
        if head.current:
            head = head._replace(tid=self._at)
        elif grammar.tool == "gdb" and head.tid:
            self._at = head.tid
        if grammar.tool == "py-spy" and head.main:
            if self._main_shown:  # another process's, whose head was left out
                self.seen.append(Seen(name=f"process {len(self.seen) + 1}"))
            self._main_shown = True
        if grammar.tool == "traceback" and self._child:
            self.seen.append(Seen(name=self._child))
            self._child = ""
        opened = Open(grammar, head)
        if self._count <= MOST_THREADS:
            threads = self._now.takes.setdefault(grammar.tool, {})
            key = head.tid or head.pthread or -self._count
            threads.pop(key, None)  # the newest of several dumps counts
            threads[key] = opened
        if grammar.tool == "traceback":
            self._tracebacks.begin(opened.frames)
        self._open = opened
        return opened

    def _is_frame(self, line: str) -> bool:
        order = (self._open.grammar, *self._grammars) if self._open else self._grammars
        for grammar in order:
            frame = grammar.frame(line)
            if frame is None:
                continue
            current = self._open
            if current is None or current.grammar is not grammar or self._begins_anew(line, current):
                if not grammar.headless or (frame.native and not grammar.native):
                    continue  # without a head it may be anything: a warning's, words in brackets
                current = self._begin(grammar, ThreadHead())
            frames = self._tracebacks.stream(frame) if grammar.tool == "traceback" else current.frames
            if len(frames) < MOST_FRAMES:
                frames.append(frame)
            current.mutex = current.mutex or grammar.mutex(line)
            return True
        return False

    def _begins_anew(self, line: str, current: Open) -> bool:
        """Whether a frame starts another stack, whose header is lost."""
        after_text = current.grammar.by_blocks and not self._of_stacks[-1]
        return bool(current.frames) and (line.lstrip().startswith("#0 ") or after_text)

    def end_within(self, line: str) -> None:
        """The text ends in the middle of this line. If it is a frame's, there may be more threads, without a stack."""
        cut = tuple(self._of_stacks) == (True, False) and line.startswith((" ", "\t", "#"))
        if cut and self._open and self._open.grammar.tool != "traceback":
            grammar = self._open.grammar
            threads = self._now.takes.setdefault(grammar.tool, {})
            threads[_CUT_OFF] = Open(grammar, ThreadHead(_CUT_OFF, "cut off"))

    def mark_selections(self) -> None:
        """One thread that was chosen from a dump: of a process that is not named, or another one than gdb's first."""
        for seen in self.seen:
            for tool, threads in seen.takes.items():
                _drop_shown_again(threads)
                shown = {opened.head.tid for opened in threads.values()} - {0}
                if tool in self._several and len(shown) == 1:
                    last = list(threads.values())[-1]
                    threads[_CUT_OFF] = Open(last.grammar, ThreadHead(_CUT_OFF, "cut off"))
                one = next(iter(threads.values())) if len(threads) == 1 else None
                if one and _is_chosen(tool, one.head, named=bool(seen.pid)):
                    threads[_CUT_OFF] = Open(one.grammar, ThreadHead(_CUT_OFF, "cut off"))

    @property
    def has_whole_tracebacks(self) -> bool:
        return self._tracebacks.ended > 0

    def drop_cut_tracebacks(self) -> None:
        for frames in self._tracebacks.cut:
            self._drop(frames)

    def _drop(self, frames: list[Frame]) -> None:
        """A traceback that shows where a fault was, and not where somebody waited."""
        for seen in self.seen:
            threads = seen.takes.get("traceback", {})
            for key in [key for key, opened in threads.items() if opened.frames is frames]:
                del threads[key]


def _drop_shown_again(threads: dict[int, Open]) -> None:
    """The frame that a debugger shows when it stops, before it says of which thread."""
    for key in [key for key, opened in threads.items() if key < 0 and len(opened.frames) == 1]:
        frame = threads[key].frames[0]
        if any(other.frames[:1] == [frame] for at, other in threads.items() if at > 0):
            del threads[key]


def _is_chosen(tool: str, only: ThreadHead, named: bool) -> bool:
    """Whether the only thread that is shown was picked out of a dump of several; lldb shows one unless asked."""
    another = only.tid > 0 and not only.main and not only.current
    return (tool == "py-spy" and not named) or (tool == "gdb" and (another or only == ThreadHead())) or tool == "lldb"


def scan(lines: Iterable[str]) -> Scanner:
    """Every process that the lines speak of, with what they say of it."""
    whole = list(lines)
    for grammar in grammars():
        whole = grammar.prepare(whole)
    scanner = Scanner()
    for line in marked(whole, scanner.begins_stack):
        scanner.read(line)
    scanner.finish()
    scanner.mark_selections()
    scanner.seen = [seen for seen in scanner.seen if not seen.empty]
    return scanner
