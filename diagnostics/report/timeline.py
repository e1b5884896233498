"""The ranks' last steps as a drawing: one inline SVG, styled by the page that holds it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from markupsafe import Markup, escape

from diagnostics.report.spans import Lane, Span
from diagnostics.report.text import clock, compact_ranks, duration, plural

WIDTH = 1040
LEFT = 124  # room for the ranks' names
RIGHT = 16
ROW = 46
TOP = 34
FOOT = 30  # room below, where the axis is broken
STEPS = 24  # about so many of a rank's last steps are shown
MOST_LANES = 40
BREAK = 26  # width of the broken axis


class Scale(NamedTuple):
    """Wall time to x. Between `gap_start` and `gap_end` nothing happened anywhere, and the axis is broken."""

    start: float
    end: float
    gap_start: float
    gap_end: float

    @property
    def broken(self) -> bool:
        return self.gap_end > self.gap_start

    @property
    def break_x(self) -> float:
        """Middle of the break."""
        return WIDTH - RIGHT - (WIDTH - LEFT - RIGHT) * 0.2

    def x(self, at: float) -> float:
        at = min(max(at, self.start), self.end)
        right = float(WIDTH - RIGHT)
        if not self.broken:
            return _between(at, self.start, self.end, LEFT, right)
        before, after = self.break_x - BREAK / 2, self.break_x + BREAK / 2
        if at <= self.gap_start:
            return _between(at, self.start, self.gap_start, LEFT, before)
        if at >= self.gap_end:
            return _between(at, self.gap_end, self.end, after, right)
        return _between(at, self.gap_start, self.gap_end, before, after)


def _between(at: float, low: float, high: float, left: float, right: float) -> float:
    return left + (right - left) * ((at - low) / (high - low) if high > low else 1.0)


def scale_of(lanes: Iterable[Lane]) -> Scale:
    """The window: the last steps of the rank that stopped first, to the time of the collection."""
    lanes = tuple(lanes)
    end = max(lane.read for lane in lanes)
    last = min(max(lane.last for lane in lanes), end)
    starts = []
    for lane in lanes:
        steps = [span for span in lane.spans if span.what == "step" and not span.open]
        starts.append(steps[-STEPS:][0].start if steps else lane.first)
    begun = [span.start for lane in lanes for span in lane.spans if span.open and span.what == "step"]
    start = min([max(starts), *begun, last])
    # A little room before the first thing drawn.
    start -= (last - start) * 0.02 or 0.01
    quiet = end - last
    if quiet <= 1.2 * (last - start):
        return Scale(start, end, end, end)
    # What lasts is drawn for a bit on either side of the break.
    lead = (last - start) * 0.05
    return Scale(start, end, last + lead, end - min(quiet * 0.05, last - start))


def draw(lanes: tuple[Lane, ...]) -> Markup:
    """The drawing, or nothing where no recorder held an event. Text is escaped here."""
    lanes = lanes[:MOST_LANES]
    if not lanes:
        return Markup("")
    scale = scale_of(lanes)
    height = TOP + ROW * len(lanes) + (FOOT if scale.broken else 4)
    parts = [
        f'<svg class="timeline" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="tl-title">'
        f'<title id="tl-title">{escape(_summary(lanes, scale))}</title>'
        '<defs><pattern id="hatch" width="7" height="7" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><rect class="hatch-bg" width="7" height="7"/>'
        '<rect class="hatch-fg" width="2.6" height="7"/></pattern></defs>'
    ]
    parts += _axis(scale, height)
    notes: list[str] = []
    fine = min(4 + 0.5 * len(lanes), 8.0)
    for index, lane in enumerate(lanes):
        parts += _lane(lane, scale, TOP + ROW * index, fine)
        notes += _note(lane, scale, TOP + ROW * index)
    if scale.broken:
        parts.append(_break(scale, height))
    parts += notes
    parts.append("</svg>")
    return Markup("".join(parts))


def _summary(lanes: tuple[Lane, ...], scale: Scale) -> str:
    still = [lane.rank for lane in lanes if any(span.open and span.what == "step" for span in lane.spans)]
    text = (
        f"Last steps of {compact_ranks(lane.rank for lane in lanes)} over {duration(scale.end - scale.start)}"
    )
    return text + (f"; in a step at the end: {compact_ranks(still)}" if still else "")


def _axis(scale: Scale, height: int) -> list[str]:
    parts = []
    bottom = height - (FOOT if scale.broken else 4)
    stop = scale.gap_start if scale.broken else scale.end
    step = _nice((stop - scale.start) / 5)
    ticks: list[tuple[float, str]] = []
    # Counted from the window's start: from the collection's time they would be odd left of a break.
    for number in range(200):
        at = scale.start + number * step
        if at > stop or (scale.broken and scale.x(at) > scale.break_x - 70):
            break
        ticks.append((scale.x(at), clock(scale.start) if number == 0 else f"+{duration(number * step)}"))
    if not scale.broken and ticks and ticks[-1][0] > WIDTH - RIGHT - 110:
        ticks.pop()
    for x, label in ticks:
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 8}" y2="{bottom}"/>')
        parts.append(
            f'<text class="tick" x="{x:.1f}" y="{TOP - 14}" text-anchor="middle">{escape(label)}</text>'
        )
    x = scale.x(scale.end)
    parts.append(f'<line class="now" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 8}" y2="{bottom}"/>')
    label = f"collected +{duration(scale.end - scale.start)}"
    parts.append(
        f'<text class="tick strong" x="{x:.1f}" y="{TOP - 14}" text-anchor="end">{escape(label)}</text>'
    )
    return parts


def _nice(least: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    power = 1e-6
    while power < 1e9:
        for factor in (1, 2, 5):
            if power * factor >= least:
                return power * factor
        power *= 10
    return least


def _lane(lane: Lane, scale: Scale, y: int, fine: float) -> list[str]:
    name = lane.rank if len(lane.rank) <= 17 else lane.rank[:16] + "…"
    middle = y + ROW / 2
    parts = [
        f'<line class="lane" x1="0" x2="{WIDTH}" y1="{y + ROW}" y2="{y + ROW}"/>'
        f'<text class="rank" x="0" y="{middle + 4:.1f}">{escape(name)}'
        f"<title>{escape(lane.rank)}</title></text>"
    ]
    shown = [span for span in lane.spans if span.end >= scale.start]
    # The epochs run below the steps, thin; what else there is (saves, barriers, phases) between them.
    for what, top, tall in (("epoch", y + ROW - 9, 3), ("", y + ROW - 16, 5), ("step", y + 8, 18)):
        spans = [
            span for span in shown if (span.what == what or (not what and span.what not in ("epoch", "step")))
        ]
        parts += _bars(lane, spans, scale, top, tall, fine)
    drawn: dict[str, float] = {}
    for mark in lane.marks:
        x = scale.x(mark.at)
        if mark.at >= scale.start and x - drawn.get(mark.what, -fine) >= fine:
            drawn[mark.what] = x
            kind = mark.what.replace("_", " ")
            title = f"{kind}: step {mark.step}, epoch {mark.epoch} {mark.label}".rstrip()
            shape = "eos" if "sequence" in mark.what else "mark"
            parts.append(
                f'<path class="{shape}" d="M{x:.1f} {y + 26}v-22m-3.5 0h7l-3.5 5z">'
                f"<title>{escape(title)}</title></path>"
            )
    if not shown:
        parts.append(
            f'<text class="nothing" x="{LEFT}" y="{middle + 4:.1f}">nothing recorded in this window</text>'
        )
    return parts


def _note(lane: Lane, scale: Scale, y: int) -> list[str]:
    """What the last open step is, written on the wider of its bar's parts, above the break."""
    spans = [span for span in lane.spans if span.open and span.what == "step"]
    if not spans:
        return []
    span = spans[-1]
    left, right = scale.x(span.start), scale.x(span.end)
    before, after = scale.break_x - BREAK / 2, scale.break_x + BREAK / 2
    if scale.broken and left < after < right:
        left, right = max((left, before), (after, right), key=lambda part: part[1] - part[0])
    lasted = duration(span.end - span.start)
    for words in (f"step {span.step:,}, {lasted}", lasted):
        if right - left >= 7 * len(words) + 8:
            return [f'<text class="inbar" x="{left + 7:.1f}" y="{y + 21}">{escape(words)}</text>']
    return []


def _bars(lane: Lane, spans: list[Span], scale: Scale, top: float, tall: float, fine: float) -> list[str]:
    parts = []
    run: list[Span] = []
    for span in spans:
        # Neighbours too thin to see one by one are drawn as one bar.
        thin = not span.open and scale.x(span.end) - scale.x(span.start) < fine
        if run and not (thin and scale.x(span.start) - scale.x(run[-1].end) < fine / 2):
            parts.append(_bar(lane, run, scale, top, tall))
            run = []
        if thin:
            run.append(span)
        else:
            parts.append(_bar(lane, [span], scale, top, tall))
    if run:
        parts.append(_bar(lane, run, scale, top, tall))
    return parts


def _bar(lane: Lane, spans: list[Span], scale: Scale, top: float, tall: float) -> str:
    first, final = spans[0], spans[-1]
    left, right = scale.x(first.start), scale.x(final.end)
    gap = 1.0 if right - left > 3 else 0.0
    width = max(right - left - gap, 1.0)
    kind = first.what if first.what in ("step", "epoch") else "other"
    title = (
        f"{plural(len(spans), first.what)} {first.step} to {final.step}" if len(spans) > 1 else _title(first)
    )
    if len(spans) > 1:
        title += f", {duration(final.end - first.start)}"
    calm = " calm" if lane.calm else ""
    classes = f"bar {kind}" + (f" open{calm}" if final.open else "")
    shape = f'<rect class="{classes}" x="{left:.1f}" y="{top:g}" width="{width:.1f}" height="{tall:g}"'
    if final.open and kind == "step":
        half = tall / 2 + 2
        arrow = f'<path class="arrow{calm}" d="M{right - 1:.1f} {top - 2:g}l9 {half:g}l-9 {half:g}z"/>'
        return f"<g>{shape}/>{arrow}<title>{escape(title)}</title></g>"
    return f"{shape}><title>{escape(title)}</title></rect>"


def _title(span: Span) -> str:
    number = {"step": f" {span.step}", "epoch": f" {span.epoch}"}.get(span.what, "")
    parts = [f"{span.what}{number}{f' ({span.label})' if span.label else ''}"]
    if span.what == "step" and span.epoch >= 0:
        parts.append(f"epoch {span.epoch}")
    parts.append(
        f"open for {duration(span.end - span.start)}" if span.open else duration(span.end - span.start)
    )
    if span.what == "step" and not span.open and span.value > 0:
        parts.append(plural(span.value, "row"))
    return ", ".join(parts)


def _break(scale: Scale, height: int) -> str:
    x = scale.break_x
    top, bottom = TOP - 8, height - FOOT
    edge = "".join(f"l{4 if index % 2 else -4} 6" for index in range((bottom - top) // 6))
    label = f"{duration(scale.gap_end - scale.gap_start)} cut out"
    return (
        f'<path class="gap" d="M{x - 5:.1f} {top}{edge}h10V{top}z"/>'
        f'<path class="gap-edge" d="M{x - 5:.1f} {top}{edge}"/>'
        f'<path class="gap-edge" d="M{x + 5:.1f} {top}{edge}"/>'
        f'<text class="tick" x="{x:.1f}" y="{height - 14}" text-anchor="middle">{escape(label)}</text>'
    )
