"""Python's own traceback, as an interruption or an error leaves it; two of them interleaved."""

from __future__ import annotations

import re

from diagnostics.importers.formats.grammar import Grammar, ThreadHead
from diagnostics.model import Frame

_HEAD = re.compile(r"(?:.*\^C)?\s*Traceback \(most recent call last\):$")
_FRAME = re.compile(r'\s*File "(.*?)", line (\d+), in (.+)$')
_ENDS = re.compile(r"((?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*)(?:: ?(.*))?$")
_ERROR = re.compile(
    r"(?:Error|Exception|Interrupt|Exit|Warning|Timeout|Abort|Cancelled|Killed|StopIteration|Failed|Empty|Full|Signal"
    r"|Died|Fault)\w*$"
)


def _thread(line: str) -> ThreadHead | None:
    return ThreadHead(name="MainThread", main=True) if _HEAD.match(line) else None


def _frame(line: str) -> Frame | None:
    match = _FRAME.match(line)
    return Frame(match[3], match[1], int(match[2])) if match else None


def error_of(line: str) -> tuple[str, str] | None:
    """The error's name and words where the line ends a traceback: `RuntimeError: [...] Timed out`."""
    end = _ENDS.match(line)
    if end is None or line[:1] == " ":
        return None
    return (end[1], end[2] or "") if _ERROR.search(end[1]) else None


_WAITED = re.compile(
    r"time[d]?[- ]?out|deadline|connection (?:closed|reset|refused)|broken pipe|watchdog|abort|SIG[A-Z]{3,}|signal|"
    r"nccl|"
    r"gloo|store|socket|rendezvous|heartbeat|cancel|unavailable|peer|interrupt|exited unexpectedly",
    re.I,
)
_INTERRUPTS = ("KeyboardInterrupt", "SystemExit", "SignalException", "CancelledError", "Empty", "GeneratorExit")


def waited(error: str, words: str) -> bool:
    """Whether the error ended a wait: what stands above it is where the rank waited, not where a fault is."""
    return error.rpartition(".")[2] in _INTERRUPTS or bool(_WAITED.search(f"{error}: {words}"))


GRAMMAR = Grammar("traceback", _thread, _frame, innermost_first=False, rank=6)
