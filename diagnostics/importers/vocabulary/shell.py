"""What people look at before they have a debugger: `ps` in all its columns, `strace -p`.

Forms: procps's `ps aux`, `ps -ef`, `ps -eo pid,stat,wchan:32,cmd`; strace 4 to 6, with -f, -t and -tt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from diagnostics.importers.vocabulary.base import Block, Said, fact
from diagnostics.model import FactKind

_STATES = {
    "D": (FactKind.STUCK, "waits in the kernel (state D), and no signal reaches it"),
    "Z": (FactKind.ENDED, "is over, and its parent has not collected it (state Z)"),
    "T": (FactKind.STUCK, "is stopped (state T)"),
    "t": (FactKind.STUCK, "is stopped by a debugger (state t)"),
}
_STATE = re.compile(r"[A-Za-z][<NLsl+]*$")
_DEFUNCT = re.compile(r"\s*(\d+)\s+(?:\d+\s+)?(?:\?|pts/\d+|tty\w*)\s+[\d:-]+\s+(\S.*?) <defunct>$")
_MOST = 400


class Ps(Block):
    """The processes under a heading with PID and STAT (or S) that do not run or sleep as others do."""

    def __init__(self) -> None:
        self._columns: list[str] = []
        self._said = 0

    def feed(self, line: str) -> Iterable[Said]:
        words = line.split()
        if "PID" in words and ({"STAT", "S"} & set(words)):
            self._columns = words
            return ()
        if not self._columns:
            return self._over(line)
        return self._process(words, line)

    def _over(self, line: str) -> Iterator[Said]:
        """A row of `ps` without states: what is over is marked."""
        if (over := _DEFUNCT.match(line)) and self._said < _MOST:
            self._said += 1
            kind, what = _STATES["Z"]
            yield Said("", fact(kind, f"process {over[1]} ({over[2]}) {what}", line, pid=over[1], state="Z"))

    def _process(self, words: list[str], line: str) -> Iterator[Said]:
        row = dict(zip(self._columns, words, strict=False))
        pid, state = row.get("PID", ""), row.get("STAT", row.get("S", ""))
        if len(words) < len(self._columns) or not pid.isdecimal() or not _STATE.match(state):
            self._columns = []
            return
        if state[0] in _STATES and self._said < _MOST:
            self._said += 1
            kind, what = _STATES[state[0]]
            command = " ".join(words[len(self._columns) - 1 :])[:120]
            wchan = row.get("WCHAN", "-")
            within = f", in {wchan}" if wchan not in ("-", "?", "0") else ""
            yield Said("", fact(kind, f"process {pid} ({command}) {what}{within}", line, pid=pid, state=state[0]))


_CALL = re.compile(
    r"(?:strace: .*|\[pid +(?P<pid>\d+)\] |(?P<number>\d+) +)?(?:\d\d:\d\d:\d\d(?:\.\d+)? )?"
    r"(?P<call>futex|p?poll|p?select6?|epoll_p?wait2?|read|pread64|recvfrom|recvmsg|write|wait4|waitid|restart_syscall"
    r"|(?:clock_)?nanosleep|accept4?|connect|flock|fcntl|sem(?:timed)?op|msgrcv|ioctl|openat|newfstatat|fsync)"
    r"\((?P<what>(?:0x[0-9a-f]+|-?\d+|\[\{fd=|AT_FDCWD|<\.\.\.|NULL|P_\w+|CLOCK_\w+).*)$"
)
_ATTACHED = re.compile(r"(?:strace: )?Process (\d+) attached")
_INTERRUPTED = re.compile(r"\)\s+= \? ERESTART\w+ ")
_DONE = re.compile(r"\)\s+= (?:-?\d+|\?|0x)")


class Strace(Block):
    """The call of each thread that had not come back when somebody stopped looking."""

    def __init__(self) -> None:
        self._main = ""
        self._waits: dict[str, tuple[str, str]] = {}
        self._interrupted: dict[str, tuple[str, str]] = {}  # what a signal ended, as Ctrl-C does
    def feed(self, line: str) -> Iterable[Said]:
        if attached := _ATTACHED.match(line.strip()):
            self._main = self._main or attached[1]
        elif _INTERRUPTED.match(line.strip()) and "" in self._waits:
            self._interrupted[""] = self._waits.pop("")
        elif call := _CALL.match(line.strip()):
            tid = call["pid"] or call["number"] or ""
            if _INTERRUPTED.search(line):
                self._interrupted[tid] = call["call"], f"{call['call']}({call['what']}"[:160]
                self._waits.pop(tid, None)
            elif _DONE.search(line):
                self._waits.pop(tid, None)
            elif len(self._waits) < _MOST:
                self._waits[tid] = call["call"], f"{call['call']}({call['what']}"[:160]
        return ()

    def finish(self) -> Iterable[Said]:
        for tid, (call, what) in {**self._interrupted, **self._waits}.items():
            who = tid or self._main
            words = f"{f'thread {who}' if who else 'a thread'} waits in the system call {what}"
            yield Said("", fact(FactKind.STUCK, words, what, call=call, thread=who))


BLOCKS = (Ps, Strace)
