"""A trace's sequence of events as a drawing: one inline SVG, styled by the page that holds it. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup, escape

from diagnostics.model.trace import TraceEvent, TraceResult

WIDTH = 1040
LEFT = 96  # room for the times
TOP = 44
ROW = 26
MOST_LANES = 9

Lane = tuple[str, int]
"""A rank, and the thread where it is one of those that the proof is about; else 0."""


def lanes_of(result: TraceResult) -> tuple[Lane, ...]:
    """A lane for each thread of the proof, one for each other rank; who never ran the step comes last."""
    threads = dict.fromkeys((event.rank, event.tid) for event in result.sequence if event.significant)
    told = {rank for rank, _ in threads}
    others = dict.fromkeys((event.rank, 0) for event in result.sequence if event.rank not in told)
    absent = dict.fromkeys((rank, 0) for rank in result.did_not_run if (rank, 0) not in others and rank not in told)
    return (*threads, *sorted(others), *sorted(absent))[:MOST_LANES]


def draw_sequence(result: TraceResult) -> Markup:
    """The drawing, or nothing where no sequence was found. Text is escaped here."""
    lanes = lanes_of(result)
    if not result.sequence or not lanes:
        return Markup("")
    between = (WIDTH - LEFT) / len(lanes)
    xs = {lane: LEFT + between * (index + 0.5) for index, lane in enumerate(lanes)}
    height = TOP + ROW * (len(result.sequence) + 1)
    parts = [
        f'<svg class="sequence" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="sq-title">'
        f'<title id="sq-title">{escape(result.why)}</title>'
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z"/></marker></defs>'
    ]
    for lane, x in xs.items():
        parts += _lane(lane, x, height, lane[0] in result.did_not_run)
    asked = next((call.peer for call in result.escaped if not call.came_back), "")
    for row, event in enumerate(result.sequence):
        parts += _event(event, TOP + ROW * (row + 0.5), xs, asked)
    return Markup("".join((*parts, "</svg>")))


def _lane(lane: Lane, x: float, height: int, absent: bool) -> Iterable[str]:
    rank, thread = lane
    below = f"thread {thread}" if thread else "never ran the step" if absent else ""
    kind = "life absent" if absent else "life"
    yield f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 8}" y2="{height - 6}"/>'
    yield f'<text class="who" x="{x:.1f}" y="14" text-anchor="middle">{escape(rank)}</text>'
    yield f'<text class="which" x="{x:.1f}" y="30" text-anchor="middle">{escape(below)}</text>'


def _event(event: TraceEvent, y: float, xs: dict[Lane, float], asked: str) -> Iterable[str]:
    x = xs.get((event.rank, event.tid)) or xs.get((event.rank, 0))
    kind = "event significant" if event.significant else "event"
    yield f'<text class="when" x="{LEFT - 14}" y="{y + 4:.1f}" text-anchor="end">{event.when}</text>'
    if x is None:  # another thread of a rank that has lanes for its threads
        x = next((place for (rank, _), place in xs.items() if rank == event.rank), float(LEFT))
        kind += " aside"
    sent = xs.get((asked, 0)) if event.significant and event.what.startswith(("sends", "sent")) else None
    if sent:
        yield f'<line class="sent" x1="{x:.1f}" x2="{sent:.1f}" y1="{y:.1f}" y2="{y:.1f}" marker-end="url(#head)"/>'
    right = x < WIDTH * 0.62
    yield f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>'
    yield (
        f'<text class="{kind}" x="{x + (9 if right else -9):.1f}" y="{y - (5 if sent else -4):.1f}" '
        f'text-anchor="{"start" if right else "end"}">{escape(event.what)}</text>'
    )
