"""One HTML file that stands alone: the evidence, the verdict, no script from elsewhere and no network."""

from __future__ import annotations

import base64
import functools
import hashlib
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from diagnostics.frameworks.tensorflow1.sequence import draw_sequence
from diagnostics.model import Collection, Connection, Diagnosis, Process, Thread, ThreadSample, Wait
from diagnostics.report import text
from diagnostics.report.positions import position_rows
from diagnostics.report.spans import lanes
from diagnostics.report.stacks import FrameLine, short_path, stacks_of, wait_line
from diagnostics.report.timeline import MOST_LANES, draw
from diagnostics.report.verdict import culprit_name, culprit_words, device_words, proof_words, verdict_of
from diagnostics.report.view import RankRow, coverage, not_seen, rank_rows, repeat_command, states
from diagnostics.stacks.blocked import Names, names_of
from diagnostics.stacks.position import blocked_words

STACK_CHARACTERS = 540_000
THREAD_ROWS = 1_200
CONNECTION_ROWS = 800
POSITION_ROWS = 400
LOG_CHARACTERS = 160_000
"""Together these keep the file under 1 MB. What is left out is counted in its place, and is in the bundle."""

LOG_LINES = 60

_HERE = Path(__file__).parent


class ThreadRow(NamedTuple):
    """One thread: its counters at the last sample, and what changed since the first."""

    tid: int
    name: str
    state: str
    waits_in: str
    native: bool
    kernel: str  # what it sleeps in, as the kernel tells
    cpu: str
    switches: str
    moved: bool
    gil: bool


class WaitRow(NamedTuple):
    """Ranks that wait for the same thing on the same ranks."""

    ranks: str
    on: str
    why: str
    seconds: str


class ProcessView(NamedTuple):
    """A rank's own section. Lists may be cut; the counts say how much."""

    process: Process
    command: str
    threads: tuple[ThreadRow, ...]
    threads_left_out: int
    interval: str
    log: tuple[str, ...]
    log_left_out: int


class ConnectionRow(NamedTuple):
    rank: str
    connection: Connection


@functools.cache
def environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        duration=text.duration,
        milliseconds=text.milliseconds,
        size=text.size,
        ranks=text.compact_ranks,
        wall_time=text.wall_time,
        percent=text.percent,
        confidence=text.confidence_words,
        link=link,
    )
    environment.globals.update(plural=text.plural, wait_line=wait_line)
    return environment


def render_html(collection: Collection, diagnosis: Diagnosis) -> str:
    """The whole report as one HTML document, to be written as UTF-8."""
    collection, diagnosis = text.sanitize(collection), text.sanitize(diagnosis)
    rows, places = rank_rows(collection), position_rows(collection, diagnosis)
    drawn = lanes(collection)
    connections = tuple(
        ConnectionRow(process.rank, connection)
        for process in collection.processes
        for connection in process.connections
    )
    style = style_sheet()
    script = _asset("report.js") + _asset("flame.js")
    page: str = (
        environment()
        .get_template("report.html")
        .render(
            collection=collection,
            diagnosis=diagnosis,
            verdict=verdict_of(collection, diagnosis),
            culprits=[
                (culprit_name(one), text.percent(one.confidence), culprit_words(one)) for one in diagnosis.culprits
            ],
            device=device_words(collection, diagnosis),
            proof=proof_words(collection.trace),
            positions=places[:POSITION_ROWS],
            positions_left_out=max(len(places) - POSITION_ROWS, 0),
            rows=rows,
            coverage=coverage(rows),
            not_seen=not_seen(collection),
            states=states(rows),
            timeline=draw(drawn),
            lanes_left_out=max(len(drawn) - MOST_LANES, 0),
            trace=collection.trace,
            sequence=draw_sequence(collection.trace) if collection.trace else "",
            waits=_waits(diagnosis.waits),
            connections=connections[:CONNECTION_ROWS],
            connections_left_out=max(len(connections) - CONNECTION_ROWS, 0),
            stacks=stacks_of(diagnosis.tree, STACK_CHARACTERS),
            processes=_processes(collection, rows),
            repeat=shlex.join(repeat_command(collection.scenario)),
            style=style,
            script=script,
            policy=policy_of(style, script),
        )
    )
    return page


def style_sheet() -> Markup:
    return _asset("report.css")


def _asset(name: str) -> Markup:
    return Markup(_HERE.joinpath(name).read_text(encoding="utf-8"))


def policy_of(style: str, script: str) -> str:
    """Content security policy: nothing may be fetched or sent, and only what we wrote may run."""
    hashes = [base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in (style, script)]
    return (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; "
        "base-uri 'none'; form-action 'none'"
    )


def link(reference: str) -> Markup:
    """A reference as a link where it is one to the web, as text where it is anything else."""
    if reference.startswith(("https://", "http://")) and " " not in reference:
        return Markup('<a href="{0}" rel="noreferrer noopener">{1}</a>').format(reference, _link_words(reference))
    return Markup("{}").format(reference)


def _link_words(address: str) -> str:
    short = address.split("://", 1)[1].rstrip("/")
    parts = short.split("/")
    if parts[0] == "github.com" and len(parts) == 5 and parts[3] in ("issues", "pull"):
        return f"{parts[1]}/{parts[2]}#{parts[4]}"
    return short


def _waits(waits: Iterable[Wait]) -> tuple[WaitRow, ...]:
    together: dict[tuple[str, str], list[Wait]] = {}
    for wait in waits:
        together.setdefault((wait.rank, wait.why), []).append(wait)
    rows = []
    for (rank, why), group in together.items():
        known = sorted(wait.seconds for wait in group if wait.seconds >= 0)
        words = text.duration(known[-1]) if known else text.DASH
        if known and known[0] * 1.05 < known[-1]:
            words = f"{text.duration(known[0])} to {words}"
        rows.append(WaitRow(rank, text.compact_ranks(wait.on for wait in group), why, words))
    return tuple(rows)


def _processes(collection: Collection, rows: tuple[RankRow, ...]) -> tuple[ProcessView, ...]:
    order = {row.rank: index for index, row in enumerate(rows)}
    rows_left, characters_left = THREAD_ROWS, LOG_CHARACTERS
    views, names = [], names_of(collection)
    for process in sorted(collection.processes, key=lambda process: order[process.rank]):
        threads = thread_rows(process, names)
        kept = threads[:rows_left]
        rows_left -= len(kept)
        log: list[str] = []
        for line in reversed(process.log_tail[-LOG_LINES:]):
            characters_left -= len(line) + 1
            if characters_left < 0:
                break
            log.append(line)
        samples = process.samples
        views.append(
            ProcessView(
                process=process,
                command=shlex.join(process.command),
                threads=kept,
                threads_left_out=len(threads) - len(kept),
                interval=text.duration(samples[-1].at - samples[0].at) if len(samples) > 1 else "",
                log=tuple(reversed(log)),
                log_left_out=len(process.log_tail) - len(log),
            )
        )
    return tuple(views)


def thread_rows(process: Process, names: Names) -> tuple[ThreadRow, ...]:
    """The process's threads; those that moved between the samples first, then by id."""
    first = {thread.tid: thread for thread in process.samples[0].threads} if process.samples else {}
    last = {thread.tid: thread for thread in process.samples[-1].threads} if process.samples else {}
    stacks = {thread.tid: thread for thread in process.threads}
    calls = {call.tid: blocked_words(call, process, names) for call in process.blocking_calls}
    rows = [
        _thread_row(tid, stacks.get(tid), first.get(tid), last.get(tid), len(process.samples) > 1, calls.get(tid, ""))
        for tid in sorted(stacks.keys() | last.keys())
    ]
    return tuple(sorted(rows, key=lambda row: (not row.moved, row.tid)))


def _thread_row(
    tid: int, stack: Thread | None, first: ThreadSample | None, last: ThreadSample | None, twice: bool, blocked: str
) -> ThreadRow:
    cpu = switches = ""
    moved = False
    if twice and first and last:
        used = last.cpu - first.cpu
        switched = last.voluntary + last.involuntary - first.voluntary - first.involuntary
        cpu, switches = text.duration(max(used, 0.0)), f"{switched:,}"
        moved = used > 0 or switched > 0
    inner = _innermost(stack)
    return ThreadRow(
        tid=tid,
        name=(stack.name if stack else "") or (last.name if last else ""),
        state=last.state if last else "",
        waits_in=inner.function if inner else "",
        native=bool(inner and inner.native),
        kernel=blocked or (last.wchan if last else ""),
        cpu=cpu,
        switches=switches,
        moved=moved,
        gil=bool(stack and stack.holds_gil),
    )


def _innermost(thread: Thread | None) -> FrameLine | None:
    if thread is None or not thread.frames:
        return None
    python = [frame for frame in thread.frames if not frame.native]
    frame = python[-1] if python else thread.frames[-1]
    return FrameLine(frame.function, short_path(frame.file), frame.native)
