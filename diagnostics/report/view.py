"""The facts that all reports tell, worked out once: what is known of each rank beside its position."""

from __future__ import annotations

from typing import NamedTuple

from diagnostics.model import Collection, Flight, OpenSpan, Process, State
from diagnostics.report.positions import WORST_FIRST
from diagnostics.report.text import compact_ranks, duration, exit_words, plural, rank_order

NOT_FOUND = "no process was found for it"


class RankRow(NamedTuple):
    """One rank in the table of ranks. Text is ready to show, "" where nothing is known."""

    rank: str
    pid: int | None
    host: str
    state: State
    why: str
    epoch: str
    last_batch: str
    rows: str
    end_of_sequence: bool | None
    open: tuple[str, ...]  # what began and has not ended, and for how long
    stacks_from: str
    pause: float  # seconds
    why_not: str
    warnings: tuple[str, ...]

    @property
    def dumped(self) -> bool:
        return bool(self.stacks_from)

    @property
    def end_seen(self) -> str:
        return {True: "yes", False: "no", None: ""}[self.end_of_sequence]


def last_batch_words(rows: tuple[RankRow, ...]) -> str:
    """`worker:0 batch 0 of epoch 2,206, end of sequence not seen`; ranks with the same last batch together."""
    together: dict[str, list[str]] = {}
    for row in rows:
        if row.last_batch:
            end = {True: ", end of sequence seen", False: ", end of sequence not seen", None: ""}[row.end_of_sequence]
            epoch = f" of epoch {row.epoch}" if row.epoch else ""
            together.setdefault(f"{row.last_batch}{epoch}{end}", []).append(row.rank)
    return "; ".join(f"{compact_ranks(ranks)} batch {words}" for words, ranks in together.items())


def rank_rows(collection: Collection) -> tuple[RankRow, ...]:
    """A row for every process seen and every rank expected; those in trouble first, then by role."""
    rows = [_row(process) for process in collection.processes]
    seen = {process.rank for process in collection.processes}
    rows += [_absent(rank) for rank in dict.fromkeys(collection.expected) if rank not in seen]
    return tuple(sorted(rows, key=lambda row: (WORST_FIRST.index(row.state), rank_order(row.rank))))


def _absent(rank: str) -> RankRow:
    return RankRow(
        rank=rank, pid=None, host="", state=State.UNREACHABLE, why="", epoch="", last_batch="", rows="",
        end_of_sequence=None, open=(), stacks_from="", pause=0.0, why_not=NOT_FOUND, warnings=(),
    )  # fmt: skip


def _row(process: Process) -> RankRow:
    flight = process.flight
    stepped = flight is not None and (flight.steps > 0 or flight.last_epoch >= 0)
    return RankRow(
        rank=process.rank,
        pid=process.pid if process.pid > 0 else None,
        host=process.host,
        state=process.state,
        why=process.state_why,
        epoch=_known(flight.last_epoch) if flight else "",
        last_batch=_known(flight.last_batch) if flight else "",
        rows=_known(flight.last_rows) if flight else "",
        end_of_sequence=flight.end_of_sequence if flight and stepped else None,
        open=tuple(open_words(span) for span in flight.open) if flight else (),
        stacks_from=process.stacks_from,
        pause=process.pause,
        why_not=process.why_not,
        warnings=tuple(_warnings(process, flight)),
    )


def _warnings(process: Process, flight: Flight | None) -> list[str]:
    warnings = []
    if process.running_after is False:
        warnings.append("not running after the collection")
    if process.exit_status is not None:
        warnings.append(exit_words(process.exit_status))
    if flight and flight.error:
        warnings.append(f"last error recorded: {flight.error}")
    if flight and flight.torn:
        warnings.append(f"{plural(flight.torn, 'record')} of the flight recorder torn")
    return warnings


def _known(number: int) -> str:
    return f"{number:,}" if number >= 0 else ""


def open_words(span: OpenSpan) -> str:
    """`step 4,412 for 31.2 s`."""
    number = {"step": span.step, "epoch": span.epoch}.get(span.kind, -1)
    name = f"{span.kind} {number:,}" if number >= 0 else span.kind
    label = f" ({span.label})" if span.label else ""
    return f"{name}{label} for {duration(span.seconds)}"


def coverage(rows: tuple[RankRow, ...]) -> str:
    """`4 of 5 ranks gave a stack; none from ps:2 (process in state D)`."""
    if not rows:
        return "no rank was expected and no process was found"
    missing: dict[str, list[str]] = {}
    for row in rows:
        if not row.dumped:
            missing.setdefault(row.why_not or "no reason recorded", []).append(row.rank)
    text = f"{len(rows) - sum(map(len, missing.values()))} of {plural(len(rows), 'rank')} gave evidence"
    if missing:
        text += "; none from " + "; ".join(f"{compact_ranks(who)} ({why})" for why, who in missing.items())
    return text


def not_seen(collection: Collection) -> tuple[str, ...]:
    """What was looked for in vain, each with its reason; ranks with the same one together."""
    together: dict[str, list[str]] = {}
    for process in collection.processes:
        if process.framework_why_not:
            together.setdefault(process.framework_why_not, []).append(process.rank)
    collectives = [f"the collectives of {compact_ranks(ranks)}: {why}" for why, ranks in together.items()]
    return (*dict.fromkeys(collection.left_out), *collectives)


def states(rows: tuple[RankRow, ...]) -> tuple[tuple[State, int], ...]:
    """How many ranks are in each state, worst first."""
    return tuple((state, count) for state in WORST_FIRST if (count := sum(row.state is state for row in rows)))


def repeat_command(scenario: dict[str, str]) -> tuple[str, ...]:
    """The words of the command that runs `scenario` again; empty where no trial made the collection."""
    rest = dict(scenario)
    name = rest.pop("scenario", "")
    if not name:
        return ()
    words = ["lastbatch", "run", name]
    flags = ("arm", "runtime", "backend", "fault", "epoch_ends", "epoch-ends", "time_limit", "time-limit")
    for key in flags:
        if value := rest.pop(key, ""):
            words += ["--" + key.replace("_", "-"), value]
    for key, value in sorted(rest.items()):
        words += ["--set", f"{key}={value}"]
    return tuple(words)
