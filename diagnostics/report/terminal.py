"""The report for a terminal: rich renderables, which say the same without colour. Nothing is printed here."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from diagnostics.model import Collection, Diagnosis, Evidence, Finding, State
from diagnostics.report.screen import STYLES, FirstScreen
from diagnostics.report.text import (
    DASH,
    compact_ranks,
    confidence_words,
    milliseconds,
    percent,
    plural,
    sanitize,
)
from diagnostics.report.verdict import Verdict, verdict_of
from diagnostics.report.view import RankRow, coverage, not_seen, rank_rows
from diagnostics.stacks.blocked import names_of, significant, words

MOST_ROWS = 40
"""Ranks shown one by one; of a larger job those that make trouble first, and the rest by their state."""

MOST_THREADS = 16
"""Lines on what threads wait for."""

CALM = (State.PROGRESSING, State.IDLE, State.FINISHED)


def render_diagnosis(
    collection: Collection, diagnosis: Diagnosis, verbose: bool = False, source: str = ""
) -> RenderableType:
    """The first screen; where it is asked for, the evidence after it.

    Args:
        verbose: with evidence, other causes, references, every thread's wait, what the recorder had of each rank.
        source: the files that a further `lastbatch diagnose` is to read, quoted for a shell; "" for none.
    """
    # Only Text is built from evidence, never markup: what looks like a tag in it stays text.
    collection, diagnosis = sanitize(collection), sanitize(diagnosis)
    if not verbose:
        return FirstScreen(collection, diagnosis, source)
    return Group(FirstScreen(collection, diagnosis, whole=True), *_details(collection, diagnosis))


def _details(collection: Collection, diagnosis: Diagnosis) -> list[RenderableType]:
    verdict = verdict_of(collection, diagnosis)
    rows = rank_rows(collection)
    parts: list[RenderableType] = []
    if verdict.finding:
        parts += [*_list("What to do", verdict.finding.remedy, numbered=True), *_finding(verdict.finding)]
    title = "What would make it surer" if verdict.finding else "Next evidence to take"
    parts += _list(title, diagnosis.next_evidence, numbered=True)
    parts += _others(verdict)
    parts += [Text(), Text(coverage(rows) + "."), *_ranks(rows)]
    if diagnosis.waits:
        parts += _waits(diagnosis)
    parts += _threads(collection)
    parts += _list("What could not be seen", not_seen(collection))
    if verdict.finding:
        parts += _list("References", verdict.finding.references)
    return parts


def _ranks(rows: tuple[RankRow, ...]) -> list[RenderableType]:
    if not rows:
        return []
    shown, rest = rows, tuple[RankRow, ...]()
    if len(rows) > MOST_ROWS:
        first = sorted(rows, key=lambda row: row.state in CALM or not row.why)
        shown, rest = tuple(first[:MOST_ROWS]), tuple(first[MOST_ROWS:])
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1), collapse_padding=True)
    table.add_column("rank", overflow="fold", min_width=5)
    table.add_column("state", no_wrap=True)
    table.add_column("epoch", justify="right")
    table.add_column("last\nbatch", justify="right")
    table.add_column("rows", justify="right")
    table.add_column("end\nseen")
    table.add_column("began, has not ended", overflow="fold", min_width=8)
    table.add_column("from", overflow="fold")
    table.add_column("pause\nms", justify="right")
    table.add_column("pid", justify="right", overflow="fold", min_width=5)
    # An ssh job has many hosts; on one machine the column would only take room.
    hosts = len({row.host for row in rows if row.host}) > 1
    if hosts:
        table.add_column("host", overflow="fold")
    for row in shown:
        cells = [
            Text(row.rank, "bold"), Text(row.state.value, STYLES[row.state]), Text(row.epoch or DASH),
            Text(row.last_batch or DASH), Text(row.rows or DASH), Text(row.end_seen or DASH),
            Text("\n".join(row.open) or DASH), Text(row.stacks_from.replace("+", "\n+") or "nothing"),
            Text(milliseconds(row.pause) if row.stacks_from else DASH), Text(str(row.pid or DASH)),
        ]  # fmt: skip
        table.add_row(*cells, *([Text(row.host)] if hosts else []))
    parts: list[RenderableType] = [Text(), table]
    parts += _reasons(shown)
    if rest:
        counted = [f"{sum(row.state is state for row in rest)} {state.value}" for state in State]
        words = ", ".join(words for words in counted if not words.startswith("0 "))
        parts.append(Text(f"and {plural(len(rest), 'more rank')}: {words}", "dim"))
    return parts


def _reasons(rows: Iterable[RankRow]) -> list[RenderableType]:
    """Why each rank is in its state, the same reasons together."""
    reasons: dict[tuple[State, str], list[str]] = {}
    for row in rows:
        for said in (row.why, *row.warnings):
            if said:
                reasons.setdefault((row.state, said), []).append(row.rank)
    if not reasons:
        return []
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(overflow="fold", min_width=6)
    table.add_column(overflow="fold")
    for (state, said), ranks in reasons.items():
        table.add_row(Text(compact_ranks(ranks), STYLES[state]), Text(said))
    return [Text(), table]


def _waits(diagnosis: Diagnosis) -> list[RenderableType]:
    together: dict[tuple[str, str], list[str]] = {}
    for wait in diagnosis.waits:
        together.setdefault((wait.rank, wait.why), []).append(wait.on)
    lines = [
        Text.assemble((rank, "bold"), " → ", (compact_ranks(on), "bold"), f"  {why}")
        for (rank, why), on in together.items()
    ]
    return [*_heading("Who waits for whom"), *(_hang("", line) for line in lines)]


def _threads(collection: Collection) -> list[RenderableType]:
    """Files, children and pipes that threads of ranks in trouble wait for; whom they wait for is said above."""
    names = names_of(collection)
    together: dict[tuple[str, str], list[int]] = {}
    for process in collection.processes:
        if process.state in (State.HUNG, State.SLOW, State.UNKNOWN):
            for call in significant(process):
                if call.kind != "mutex" and call.peer in ("", process.rank):
                    together.setdefault((process.rank, words(call, process, names)), []).append(call.tid)
    if not together:
        return []
    lines = [
        Text.assemble((rank, "bold"), f" {plural(len(tids), 'thread')} ({', '.join(map(str, tids[:3]))}): {said}")
        for (rank, said), tids in list(together.items())[:MOST_THREADS]
    ]
    if len(together) > MOST_THREADS:
        lines.append(Text(f"and {len(together) - MOST_THREADS} more in the bundle", "dim"))
    return [*_heading("What threads wait for"), *(_hang("", line) for line in lines)]


def _finding(finding: Finding) -> list[RenderableType]:
    parts: list[RenderableType] = []
    for title, items in (("Evidence for it", finding.evidence), ("Evidence against it", finding.against)):
        if items:
            parts += [*_heading(title), *(_hang("•", _fact(item)) for item in items)]
    return [*parts, *_list("Missing", finding.missing)]


def _others(verdict: Verdict) -> list[RenderableType]:
    if not verdict.candidates:
        return []
    parts: list[RenderableType] = _heading("Other causes considered" if verdict.finding else "Causes considered")
    for finding in verdict.candidates:
        words = f"{percent(finding.confidence)}, {confidence_words(finding.confidence)}"
        line = Text.assemble((finding.cause, "bold"), f"  {words}")
        for sign, items in (("+", finding.evidence), ("-", finding.against)):
            for item in items:
                line.append(f"\n{sign} {item.fact}")
        for missing in finding.missing:
            line.append(f"\n? {missing}")
        parts.append(_hang("•", line))
    return parts


def _fact(item: Evidence) -> Text:
    where = ", ".join(part for part in (compact_ranks(item.ranks), item.source) if part)
    return Text.assemble(item.fact, (f"  [{where}]", "dim") if where else "")


def _heading(title: str) -> list[RenderableType]:
    return [Text(), Text(title, "bold underline")]


def _list(title: str, items: Iterable[str], numbered: bool = False) -> list[RenderableType]:
    lines = [_hang(f"{number}." if numbered else "•", Text(item)) for number, item in enumerate(items, 1)]
    return [*_heading(title), *lines] if lines else []


def _hang(sign: str, line: Text) -> RenderableType:
    """A line whose continuation is indented under its first word."""
    if not sign:
        return Padding(line, (0, 0, 0, 2))
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True, min_width=2, justify="right")
    table.add_column(overflow="fold")
    table.add_row(Text(sign, "dim"), line)
    return table
