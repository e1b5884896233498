"""Text as it reaches us: with colours, prefixes of launchers, timestamps, mail quoting. Plain lines come out. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from diagnostics.importers.labels import Label, labels_of
from diagnostics.importers.ranks import rank_in
from diagnostics.importers.records import unpacked
from diagnostics.importers.wrapped import unwrapped
from diagnostics.model.rank import process as unnamed_process

LONGEST = 16384
"""Characters of a line that are looked at; stack frames of C++ templates and lists of tensors stay below."""

_COLOURS = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
_QUOTE = re.compile(r"(?:> ?)+")
_FENCE = re.compile(r"\s*(?:```|~~~)[\w-]*\s*$|</?(?:details|summary|pre|code)>$")
_STAMPS = (
    re.compile(r"\[?\d{4}-\d\d-\d\d[T_ ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?\]?:? "),
    re.compile(r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)? ?(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +\d{1,2} \d\d:\d\d:\d\d(?: [A-Z]{3,4})?(?: \d{4})?(?: (?:[\w.-]+ kernel: ?)?|(?=\[))"),  # noqa: E501
    re.compile(r"\[?\d\d:\d\d:\d\d(?:[.,]\d+)?\]? (?=[\[(A-Z])"),
    re.compile(r"\d+(?:\.\d+)?s\t\d+\t"),  # Kaggle
    re.compile(r"(?:INFO|WARNING|ERROR|DEBUG|CRITICAL)(?: \d\d-\d\d \d\d:\d\d:\d\d| \d+)? \[[\w./-]+:\d+\] ?"),  # vLLM
    re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d "),
)
_MPIRUN = re.compile(r"\[\d+,(\d+)\](?:<\w+>)?(?:<std(?:out|err)>)?: ?")  # --tag-output
_NUMBERED = (
    _MPIRUN,
    re.compile(r"\[(\d+)\]<std(?:out|err)>: ?"),  # horovodrun
    re.compile(r"\[(?:rank|default)(\d+)\]: ?(?=\[rank\d+\]:)|\[(?:rank|default)(\d+)\]: ?"),  # torch, torchrun
    re.compile(r"<(\d+)>: ?"),  # Intel MPI -l, jsrun
)
_LOCAL = re.compile(r"(\S{1,60}): (?=\[(?:rank|default)\d+\]:)")  # deepspeed, pdsh: the host
_PODS = (
    re.compile(r"\[pod/([\w.-]+)/[\w.-]+\] "),  # kubectl logs --prefix
    re.compile(r"([a-z0-9][\w.-]*-\d+) +\| ?"),  # docker compose logs
    re.compile(r"([\w.-]+) \[std(?:out|err)\] ?"),  # milabench, and runners like it
    re.compile(r"([\w.-]+?-\d+) (?:pytorch|tensorflow|worker|trainer|main|master|launcher) (?=\S)"),  # stern
)
_ACTOR = re.compile(r"\((?:([A-Za-z][\w.:-]*(?: rank=\d+)?) )?(?:pid|PID)=(\d+)(?:, ip=[\w.:]+)?\) ?")  # Ray, vLLM

_GOES_ON = re.compile(r"#\d+ |frame #\d+: | {2,}\S|\t\S")
"""What a message of several lines goes on with: only its first line has the prefix."""


class Line(NamedTuple):
    """`text` without what was put before it; `source` names who said it: `worker:3`, a pod, "" where nothing tells.

    `pid`: of the process that said it, 0 where nothing tells.
    """

    source: str
    text: str
    pid: int = 0


def lines_of(text: str) -> Iterator[Line]:
    """The lines of a text, each whole and cleaned; a progress bar that overwrites itself is a line for each state."""
    whole = unpacked(text.split("\n"))
    raw = [_COLOURS.sub("", part[:LONGEST]) for line in whole for part in line.rstrip("\r").split("\r")]
    raw = [line for line in map(_unquoted, _outdented(raw)) if not _FENCE.match(line)]
    cleaned = [_clean(_tagged_once(line)) for line in unwrapped(_unticked(raw))]
    if label := labels_of([line.text for line in cleaned]):
        cleaned = [_without_label(line, label) for line in cleaned]
    last = Line("", "")
    for line in cleaned:
        if last.source and not line.source and _GOES_ON.match(line.text):
            line = Line(last.source, line.text, last.pid)
        yield line
        last = line


def _unquoted(line: str) -> str:
    """Without mail's or Markdown's signs of quotation. A prompt `>>>` is none, but nothing is lost with it."""
    quote = _QUOTE.match(line) if line[:1] == ">" else None
    return line[quote.end() :] if quote else line


def _outdented(lines: list[str]) -> list[str]:
    """Markdown's code by indentation: all lines lie four spaces in."""
    said = [line for line in lines if line.strip()]
    if len(said) > 2 and all(line.startswith(("    ", "\t")) for line in said):
        return [line[1:] if line.startswith("\t") else line[4:] for line in lines]
    return lines


_TICKED = re.compile(r"\s*`([^`]*)`\s*$")


def _unticked(lines: list[str]) -> list[str]:
    """Without Markdown's signs of code around every line."""
    said = [line for line in lines if line.strip()]
    ticked = sum(bool(_TICKED.match(line)) for line in said)
    if ticked < 2 or ticked < len(said) - 1:
        return lines
    return [_TICKED.sub(r"\1", line) for line in lines]


def _tagged_once(line: str) -> str:
    """mpirun puts its tag before every write, also of a line's later parts."""
    tag = _MPIRUN.match(line)
    again = tag[0].rstrip() if tag and "<std" in tag[0] else ""
    return tag[0] + line[tag.end() :].replace(again, "") if tag and again else line


def _clean(line: str) -> Line:
    source, pid = "", 0
    for _ in range(6):  # a launcher's prefix may stand before a container's, and a time before both
        end, said, number = _prefix(line)
        if not end:
            break
        source, pid, line = _surer(source, said), number or pid, line[end:]
    return Line(source, line.rstrip(), pid)


def _without_label(line: Line, label: Label) -> Line:
    put = label.pattern.match(line.text)
    if put is None:
        return line
    source = f"worker:{int(put[1])}" if label.is_rank else ""
    inner = _clean(line.text[put.end() :])
    return Line(_surer(_surer(line.source, source), inner.source), inner.text, inner.pid or line.pid)


def _surer(outer: str, inner: str) -> str:
    """A rank says more than a pod's name, wherever it stands."""
    return outer if not inner or (rank_in(outer) and not rank_in(inner)) else inner


def _prefix(line: str) -> tuple[int, str, int]:
    """Where the prefix ends, who it says speaks, and its process id; 0 for none."""
    if line[:1] not in _FIRST:
        return 0, "", 0
    for pattern in _STAMPS:
        if match := pattern.match(line):
            return match.end(), "", 0
    for pattern in _NUMBERED:
        if match := pattern.match(line):
            number = next(group for group in match.groups() if group)
            return match.end(), f"worker:{int(number)}", 0
    if match := _ACTOR.match(line):
        return match.end(), match[1] or str(unnamed_process(int(match[2]))), int(match[2])
    if match := _LOCAL.match(line):
        return match.end(), "", 0
    for pattern in _PODS:
        if match := pattern.match(line):
            return match.end(), match[1], 0
    return 0, "", 0


_FIRST = frozenset("[(<0123456789abcdefghijklmnopqrstuvwxyzMTWFSJANODIEC")
