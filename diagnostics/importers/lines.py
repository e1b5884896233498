"""Text as it reaches us: with colours, prefixes of launchers, timestamps, mail quoting. Plain lines come out. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

LONGEST = 4096
"""Characters of a line that are looked at; stack frames of C++ templates stay below."""

_COLOURS = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
_QUOTE = re.compile(r"(?:> ?)+")
_STAMP = re.compile(r"\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?\]?:? ")
_NUMBERED = (
    re.compile(r"\[\d+,(\d+)\](?:<\w+>)?(?:<std(?:out|err)>)?: ?"),  # mpirun --tag-output
    re.compile(r"\[(\d+)\]<std(?:out|err)>: ?"),  # horovodrun
    re.compile(r"\[(?:rank|default)(\d+)\]: ?"),  # torch, torchrun
)
_NAMED = (
    re.compile(r"\[pod/([\w.-]+)/[\w.-]+\] "),  # kubectl logs --prefix
    re.compile(r"([a-z][\w.-]*-\d+) +\| "),  # docker compose logs
)
_SRUN = re.compile(r" {0,4}(\d+): ?")


class Line(NamedTuple):
    """`text` without what was put before it; `source` names who said it: `worker:3`, a pod, "" where nothing tells."""

    source: str
    text: str


def lines_of(text: str) -> Iterator[Line]:
    """The lines of a text, each cleaned; a progress bar that overwrites itself is a line for each state."""
    raw = [_COLOURS.sub("", part[:LONGEST]) for line in text.split("\n") for part in line.rstrip("\r").split("\r")]
    by_srun = _is_labelled_by_srun(raw)
    for line in raw:
        yield _clean(line, by_srun)


def _is_labelled_by_srun(lines: list[str]) -> bool:
    """`srun --label` writes `3: ` before every line. A few lines of that form are nothing but a list."""
    said = [line for line in lines if line.strip()]
    return len(said) > 2 and sum(bool(_SRUN.match(line)) for line in said) > 0.9 * len(said)


def _clean(line: str, by_srun: bool) -> Line:
    source = ""
    if quote := _QUOTE.match(line):
        line = line[quote.end() :]
    if by_srun and (label := _SRUN.match(line)):
        source, line = f"worker:{int(label[1])}", line[label.end() :]
    for _ in range(4):  # a launcher's prefix may stand before a container's, and a time before both
        match, said = _prefix(line)
        if not match:
            break
        source, line = said or source, line[match.end() :]
    return Line(source, line.rstrip())


def _prefix(line: str) -> tuple[re.Match[str] | None, str]:
    if stamp := _STAMP.match(line):
        return stamp, ""
    for pattern in _NUMBERED:
        if match := pattern.match(line):
            return match, f"worker:{int(match[1])}"
    for pattern in _NAMED:
        if match := pattern.match(line):
            return match, match[1]
    return None, ""
