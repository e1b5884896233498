"""Documents for trace viewers: Chrome's trace-event format (Perfetto, chrome://tracing) and speedscope's."""

from __future__ import annotations

from typing import Any

from diagnostics.model import Collection, Frame
from diagnostics.report.spans import Lane, Span, lanes
from diagnostics.report.text import duration, rank_order, sanitize, sanitize_text

TRACKS = {"epoch": 1, "step": 2}
"""Thread ids in the trace: epochs above the steps, then everything else, a track a kind."""


def render_trace(collection: Collection) -> dict[str, Any]:
    """Ranks as processes, their spans as slices; what has not ended lasts to the time it was read.

    Times are microseconds since the first thing recorded; `otherData.began` is that moment, in seconds UTC.
    """
    collection = sanitize(collection)
    drawn = sorted(lanes(collection), key=lambda lane: rank_order(lane.rank))
    began = min((lane.first for lane in drawn), default=collection.collected_at)
    events: list[dict[str, Any]] = []
    # Two hosts may use a pid twice, hence numbers of our own.
    for number, lane in enumerate(drawn, 1):
        events += _lane(lane, number, began)
    return {
        "traceEvents": events,
        "displayTimeUnit": "ms",
        "otherData": {"began": f"{began:.6f}", "tool": f"lastbatch {collection.tool_version}".strip()},
    }


def _lane(lane: Lane, number: int, began: float) -> list[dict[str, Any]]:
    pid = f" (pid {lane.pid})" if lane.pid > 0 else ""
    events: list[dict[str, Any]] = [
        {"ph": "M", "pid": number, "name": "process_name", "args": {"name": f"{lane.rank}{pid}"}},
        {"ph": "M", "pid": number, "name": "process_sort_index", "args": {"sort_index": number}},
    ]
    # Slices of a track have to nest: steps of several threads at once get a track each.
    tracks: dict[tuple[str, int], int] = {}
    for span in lane.spans:
        key = (span.what, _thread(lane, span))
        if key not in tracks:
            track = TRACKS.get(span.what, 0)
            tracks[key] = track if track and track not in tracks.values() else 10 + len(tracks)
            name = {"name": f"{span.what}s"}
            events.append({"ph": "M", "pid": number, "tid": tracks[key], "name": "thread_name", "args": name})
        events.append(_slice(span, number, tracks[key], began))
    for mark in lane.marks:
        events.append(
            {
                "ph": "i", "s": "p", "pid": number, "tid": TRACKS["step"], "cat": "mark",
                "name": mark.what.replace("_", " "), "ts": _micro(mark.at - began),
                "args": {"step": mark.step, "epoch": mark.epoch, "label": mark.label},
            }
        )  # fmt: skip
    return events


def _thread(lane: Lane, span: Span) -> int:
    """The thread of a span; of an open one, which does not tell, that of the spans of its kind."""
    if span.thread or not span.open:
        return span.thread
    return next(
        (other.thread for other in reversed(lane.spans) if other.what == span.what and other.thread), 0
    )


def _slice(span: Span, process: int, track: int, began: float) -> dict[str, Any]:
    number = {"step": f" {span.step}", "epoch": f" {span.epoch}"}.get(span.what, "")
    name = f"{span.what}{number}" + (f" {span.label}" if span.label else "")
    if span.open:
        name += f", open for {duration(span.end - span.start)}"
    return {
        "ph": "X", "pid": process, "tid": track, "cat": span.what, "name": name,
        "ts": _micro(span.start - began), "dur": _micro(span.end - span.start),
        "args": {"step": span.step, "epoch": span.epoch, "value": span.value, "open": span.open},
    }  # fmt: skip


def _micro(seconds: float) -> float:
    return round(max(seconds, 0.0) * 1e6, 3)


def render_speedscope(collection: Collection) -> dict[str, Any]:
    """The stacks as a speedscope document: a profile a rank, each thread one sample of weight 1."""
    collection = sanitize(collection)
    numbers: dict[Frame, int] = {}
    profiles = []
    for process in sorted(collection.processes, key=lambda process: rank_order(process.rank)):
        samples = [
            [numbers.setdefault(frame, len(numbers)) for frame in thread.frames]
            for thread in process.threads
            if thread.frames
        ]
        if samples:
            profiles.append(
                {
                    "type": "sampled", "name": process.rank, "fast": "none", "startValue": 0,
                    "endValue": len(samples), "samples": samples, "weights": [1] * len(samples),
                }
            )  # fmt: skip
    return {
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "exporter": sanitize_text(f"lastbatch {collection.tool_version}".strip()),
        "name": "stacks of a stuck job",
        "shared": {"frames": [_speedscope_frame(frame) for frame in numbers]},
        "profiles": profiles,
    }


def _speedscope_frame(frame: Frame) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": frame.function or "??"}
    if frame.file:
        shown["file"] = frame.file
    if frame.line > 0:
        shown["line"] = frame.line
    return shown
