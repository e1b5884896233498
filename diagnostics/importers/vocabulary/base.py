"""What rows of a vocabulary are made of, and how a line is read with them. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from diagnostics.model import FactKind, LogFact

LONGEST = 500
"""Characters of a line that a fact keeps."""
MOST_RANKS = 4096
BEFORE, AFTER = 400, 1600
"""Characters around a row's needle that are read closely, so that a long line costs no more than a short one."""


class Row(NamedTuple):
    """One wording. `needle`: lower-case text that is in every line of it, so that few lines are read closely.

    `words` quotes the pattern's groups; what stands in square brackets is left out where a group in it is empty. The
    group `rank` is who says it, `member` is who says it by its rank in a process group, which need not be the one in
    the job, `ranks` (numbers) or `tasks` (`/job:worker/replica:0/task:1`) whom it is about.
    """

    kind: FactKind
    needle: str
    pattern: re.Pattern[str]
    words: str


def row(kind: FactKind, needle: str, pattern: str, words: str) -> Row:
    return Row(kind, needle.lower(), re.compile(pattern, re.I), words)


class Said(NamedTuple):
    """A fact and the rank that it belongs to, "" where the line does not tell: then it is the source's.

    `member`: it is the speaker's rank in a process group. Whoever knows the speaker's rank in the job knows better.
    """

    rank: str
    fact: LogFact
    member: bool = False


class Block:
    """Reads what spans several lines."""

    def feed(self, line: str) -> Iterable[Said]:
        """What is known once this line is read."""
        raise NotImplementedError

    def finish(self) -> Iterable[Said]:
        """What is known only when there is no other line."""
        return ()


class Vocabulary(NamedTuple):
    rows: tuple[Row, ...]
    blocks: tuple[Callable[[], Block], ...]


_OPTIONAL = re.compile(r"\[([^\[\]]*)\]")
_QUOTED = re.compile(r"\{(\w+)\}")


def words_of(template: str, values: dict[str, str]) -> str:
    """The template with its values; parts in brackets only where all that they quote is known."""

    def chosen(part: re.Match[str]) -> str:
        return part[1] if all(values.get(name) for name in _QUOTED.findall(part[1])) else ""

    text = _OPTIONAL.sub(chosen, template)

    def told(quoted: re.Match[str]) -> str:
        attached = text[: quoted.start()][-1:].isalpha()  # what only adds to a sentence may be empty
        return values.get(quoted[1], "" if attached else "?")

    return _QUOTED.sub(told, text)


_TASK = re.compile(r"/job:([\w.-]+)(?:/replica:\d+)?/task:(\d+)")
_SPAN = re.compile(r"(\d+)(?:\s*-\s*(\d+))?")


def ranks_in(text: str) -> tuple[str, ...]:
    """Ranks that a list of numbers or of TensorFlow's task names names: `0, 3-5`, `/job:worker/task:1`."""
    if tasks := _TASK.findall(text):
        return tuple(dict.fromkeys(f"{role.removeprefix('jax_')}:{int(index)}" for role, index in tasks))
    found: list[str] = []
    for first, last in _SPAN.findall(text):
        low, high = int(first), int(last or first)
        if high < 10**7 and 0 <= high - low < MOST_RANKS:
            found += [f"worker:{number}" for number in range(low, high + 1)]
    return tuple(dict.fromkeys(found[:MOST_RANKS]))


def fact(kind: FactKind, words: str, line: str, about: Iterable[str] = (), **values: str) -> LogFact:
    return LogFact(kind, words, tuple(about), {k: v for k, v in values.items() if v}, line.strip()[:LONGEST])


def read(row: Row, line: str) -> Iterator[Said]:
    """What the line says by this row."""
    at = line.lower().find(row.needle)
    match = row.pattern.search(line[max(0, at - BEFORE) : at + AFTER]) if at >= 0 else None
    if match is None:
        return
    values = {name: value.strip() for name, value in match.groupdict().items() if value and value.strip()}
    speaker = values.get("rank") or values.get("member") or ""
    rank = f"worker:{int(speaker)}" if speaker.isdecimal() else ""
    about = ranks_in(values.get("ranks") or values.get("tasks") or "") or ((rank,) if rank else ())
    words = words_of(row.words, values)
    yield Said(rank, fact(row.kind, words, line, about, **values), member="member" in values)
