"""The first screen: who holds the job up, where, what for, since when, what to do. At most 25 lines for 8 ranks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from diagnostics.model import Collection, Diagnosis, State
from diagnostics.report.positions import PositionRow, position_rows
from diagnostics.report.text import DASH, columns, named_plainly, percent
from diagnostics.report.verdict import (
    cause_name,
    culprit_name,
    culprit_words,
    device_words,
    next_command,
    proof_words,
    verdict_of,
)
from diagnostics.report.view import last_batch_words, rank_rows

STYLES = {
    State.HUNG: "bold red", State.DEAD: "bold magenta", State.UNREACHABLE: "magenta", State.SLOW: "yellow",
    State.UNKNOWN: "dim", State.IDLE: "cyan", State.PROGRESSING: "green", State.FINISHED: "green",
}  # fmt: skip
HEADLINES = {"hung": "bold red", "unknown": "bold yellow", "healthy": "bold green"}

LINES = 24
"""Of a terminal of usual height, less the one that names the evidence."""

MOST_ROWS = 8
"""Rows of the table; what follows them is counted."""


class Room(NamedTuple):
    """Lines that each part may take at most."""

    summary: int
    culprits: tuple[int, ...]  # the first, the second; further ones are counted
    cause: int
    remedies: tuple[int, ...]


ROOMS = (
    Room(4, (4, 3), 3, (3, 3)),
    Room(3, (3, 2), 3, (2, 2)),
    Room(3, (2, 1), 2, (2, 1)),
    Room(2, (2, 1), 1, (1, 1)),
)
"""Widest first: that is taken with which the screen holds all."""

ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
WIDEST_NAME = 26
LEAST = 10
"""Columns that an operation and what is waited for keep."""
HEAD = ("rank", "state", "since", "operation", "function", "waits for")


class FirstScreen:
    """A renderable. `source`: what the command that follows is to read, "" for none; `whole`: nothing is shortened."""

    def __init__(self, collection: Collection, diagnosis: Diagnosis, source: str = "", whole: bool = False) -> None:
        self.collection, self.diagnosis, self.source, self.whole = collection, diagnosis, source, whole

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        below = [*self._facts(console, width), *self._table(width), *self._errors(width)]
        if self.whole:
            yield from self._top(console, width, ROOMS[0])
        else:
            yield from self._fitting(console, width, LINES - len(below))
        yield from below

    def _fitting(self, console: Console, width: int, left: int) -> list[Text]:
        for room in ROOMS:
            top = self._top(console, width, room)
            remedies = self._remedies(console, width, room)
            if len(top) + len(remedies) <= left:
                break
        return [*top, *remedies[: max(left - len(top), 1)]]

    def _cut(self, console: Console, text: Text, width: int, most: int, indent: int = 8) -> list[Text]:
        """At most so many lines, those after the first indented."""
        lines = list(text.wrap(console, width - indent))
        for line in lines:
            line.rstrip()
        if not self.whole and len(lines) > most:
            rest = Text(" ").join(lines[most - 1 :])
            lines = [*lines[: most - 1], _ended(rest, width - indent)]
        return [lines[0], *(Text(" " * indent).append_text(line) for line in lines[1:])]

    def _top(self, console: Console, width: int, room: Room) -> list[Text]:
        verdict = verdict_of(self.collection, self.diagnosis)
        lines = [Text(verdict.headline, HEADLINES[verdict.kind])]
        if verdict.summary:
            lines += self._cut(console, Text(named_plainly(verdict.summary)), width, room.summary, 0)
        culprits = self.diagnosis.culprits
        limits = room.culprits if not self.whole else (0,) * len(culprits)
        for culprit, most in zip(culprits, limits, strict=False):
            name = "Culprit " if verdict.kind == "hung" else "Look at "
            said = Text.assemble(
                (name, "bold"), (culprit_name(culprit), "bold red"), f", {percent(culprit.confidence)} sure: ",
                culprit_words(culprit),
            )  # fmt: skip
            lines += self._cut(console, said, width, most)
        if len(culprits) > len(limits):
            names = named_plainly(", ".join(culprit.rank for culprit in culprits[len(limits) :]))
            lines.append(_ended(Text.assemble(("Or      ", "bold"), names), width))
        if verdict.finding:
            said = Text.assemble(
                ("Cause   ", "bold"),
                f"{cause_name(verdict.finding)} ({verdict.percent}, {verdict.words}): ",
                named_plainly(verdict.finding.title),
            )  # fmt: skip
            lines += self._cut(console, said, width, room.cause)
        elif verdict.kind == "hung":
            lines.append(
                _ended(
                    Text.assemble(
                        ("Cause   ", "bold"), "not known: of the causes that lastbatch knows none is likelier than not"
                    ),
                    width,
                )
            )
        return lines

    def _remedies(self, console: Console, width: int, room: Room) -> list[Text]:
        """What to do, or where no cause is known, what to take next."""
        verdict = verdict_of(self.collection, self.diagnosis)
        items = verdict.finding.remedy if verdict.finding else self.diagnosis.next_evidence
        name = ("Do      " if verdict.finding else "Collect ", "bold")
        return [
            line
            for item, most in zip(items, room.remedies, strict=False)
            for line in self._cut(console, Text.assemble(name, named_plainly(item)), width, most)
        ]

    def _facts(self, console: Console, width: int) -> list[Text]:
        device = device_words(self.collection, self.diagnosis)
        card = self._cut(console, Text.assemble(("GPU     ", "bold"), device), width, 2) if device else []
        told = (
            ("", proof_words(self.collection.trace)),
            ("Last batch: ", last_batch_words(rank_rows(self.collection))),
            ("Next    ", next_command(self.collection, self.diagnosis, self.source)),
        )
        # A command that is cut cannot be run.
        return card + [
            Text.assemble((name, "bold"), said)
            if name == "Next    "
            else _ended(Text.assemble((name, "bold"), said), width)
            for name, said in told
            if said
        ]

    def _table(self, width: int) -> list[Text]:
        rows = position_rows(self.collection, self.diagnosis)
        if not rows:
            return []
        most = len(rows) if self.whole else MOST_ROWS
        return [Text(), *position_table(rows[:most], width), *_counted(rows[most:], width)]

    def _errors(self, width: int) -> list[Text]:
        return [_ended(Text(f"{one.stage} failed: {one.error}", "yellow"), width) for one in self.diagnosis.errors]


def position_table(rows: Iterable[PositionRow], width: int) -> list[Text]:
    """One line a row, whatever the width; a place is shortened in its function's name, not in its line."""
    rows = tuple(rows)
    cells = [(row.ranks, row.state.value, row.since, row.operation, row.place, row.waits_for) for row in rows]
    natural = [max(columns(cell[index]) for cell in (HEAD, *cells)) for index in range(len(HEAD))]
    sizes = _sizes(natural, width)
    lines = [_line(HEAD, sizes, ["bold"] * len(HEAD))]
    for row, cell in zip(rows, cells, strict=True):
        styles = ["bold red" if row.culprit else "bold", STYLES[row.state], "", "", "", ""]
        lines.append(_line(cell, sizes, styles))
    return lines


def _sizes(natural: list[int], width: int) -> list[int]:
    """The first three as wide as they need to be, within reason; the place comes before what is left."""
    fixed = [min(natural[0], WIDEST_NAME), natural[1], min(natural[2], 16)]
    left = max(width - sum(fixed) - 2 * (len(HEAD) - 1), 18)
    operation, place, waits = natural[3:]
    place = min(place, max(left - min(operation, LEAST) - min(waits, LEAST), left // 3))
    operation = min(operation, max((left - place) // 2, left - place - waits))
    return [*fixed, operation, place, max(min(waits, left - place - operation), 1)]


def _line(cells: Iterable[str], sizes: list[int], styles: list[str]) -> Text:
    line = Text()
    for index, (cell, size, style) in enumerate(zip(cells, sizes, styles, strict=True)):
        fitted = Text(_fit_place(cell, size) if index == 4 else cell or DASH, style)
        fitted.truncate(size, overflow="ellipsis", pad=index < len(sizes) - 1)
        line.append_text(fitted).append("  " if index < len(sizes) - 1 else "")
    line.rstrip()
    return line


def _fit_place(place: str, size: int) -> str:
    """`train_epo… (train.py:31)`."""
    function, sign, where = place.partition(" (")
    if columns(place) <= size or not sign:
        return place or DASH
    room = size - columns(sign + where) - 1
    return function[:room] + ELLIPSIS + sign + where if room >= 3 else where.rstrip(")")


def _counted(rows: tuple[PositionRow, ...], width: int) -> list[Text]:
    if not rows:
        return []
    counts: dict[State, int] = {}
    for row in rows:
        counts[row.state] = counts.get(row.state, 0) + row.members
    words = ", ".join(f"{count} {state.value}" for state, count in counts.items())
    return [_ended(Text(f"and {sum(counts.values()):,} more ({words}): see them with --verbose", "dim"), width)]


def _ended(line: Text, width: int) -> Text:
    line.truncate(width, overflow="ellipsis")
    return line
