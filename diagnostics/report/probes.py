"""A trace's answer for a terminal: rich renderables, nothing is printed here."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from diagnostics.model.trace import TraceResult, TraceVerdict
from diagnostics.report.text import plural, sanitize

STYLES = {TraceVerdict.PROVEN: "bold red", TraceVerdict.REFUTED: "green", TraceVerdict.NOT_SEEN: "yellow"}


def render_trace_result(result: TraceResult) -> RenderableType:
    """Verdict, counts, the calls that did not come back, the sequence of events."""
    result = sanitize(result)
    parts: list[RenderableType] = [
        Text.assemble((f"Trace: {result.verdict.value}", STYLES[result.verdict]), f"  {result.why}"),
        Text(f"  {_counts(result)}", "dim"),
    ]
    for call in result.escaped:
        if not call.came_back:
            key = f", tensor {call.tensor}" if call.tensor else ""
            where = f"{call.rank} → {call.peer}, step {call.step}, call {call.call}"
            how = (
                f"window {call.window} of rendezvous {call.owner}; sent by thread {call.thread or '?'}, "
                f"aborted by {call.aborted_by}"
            )
            parts.append(Text(f"  open: {where}{f'; {how}' if call.window else ''}{key}"))
    if result.did_not_run:
        parts.append(Text(f"  ran the step: {', '.join(result.ran)}; never ran it: {', '.join(result.did_not_run)}"))
    if result.sequence:
        parts.append(_sequence(result))
    return Group(*parts)


def _counts(result: TraceResult) -> str:
    events = ", ".join(f"{count.what} {count.number:,}" for count in result.counts)
    escaped = ", ".join(f"{count.number:,} in window {count.what}" for count in result.escaped_total)
    words = [f"{result.seconds:.1f} s", events, f"escaped {escaped}" if escaped else ""]
    if result.lost:
        words.append(f"{plural(result.lost, 'event')} lost")
    return "; ".join(word for word in words if word)


def _sequence(result: TraceResult) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 2))
    table.add_column("when", justify="right", no_wrap=True)
    table.add_column("rank")
    table.add_column("thread")
    table.add_column("what happened", overflow="fold")
    for event in result.sequence:
        style = "bold" if event.significant else ""
        cells = (event.when, event.rank, str(event.tid), event.what)
        table.add_row(*(Text(cell, style) for cell in cells))
    return table
