"""Trace viewers' documents: what a viewer needs is there, and slices nest."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
import report_hostile
import report_samples

from diagnostics.model import Collection, Event, Flight, OpenSpan, Process
from diagnostics.report.spans import lanes
from diagnostics.report.trace import render_speedscope, render_trace


def check(trace: dict[str, Any]) -> list[dict[str, Any]]:
    """The rules of the trace-event format that viewers hold to; returns the slices."""
    assert trace == json.loads(json.dumps(trace, allow_nan=False))
    named = {(e["pid"], e.get("tid")) for e in trace["traceEvents"] if e["ph"] == "M"}
    slices = []
    for event in trace["traceEvents"]:
        assert event["ph"] in ("M", "X", "i") and event["name"] and isinstance(event["pid"], int)
        if event["ph"] == "M":
            continue
        assert event["ts"] >= 0
        if event["ph"] == "X":
            assert event["dur"] >= 0 and (event["pid"], event["tid"]) in named
            slices.append(event)
        else:
            assert event["s"] in ("g", "p", "t")
    tracks: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for event in slices:
        tracks.setdefault((event["pid"], event["tid"]), []).append(event)
    for track in tracks.values():
        for first, second in pairwise(sorted(track, key=lambda event: (event["ts"], -event["dur"]))):
            end = first["ts"] + first["dur"]
            apart = second["ts"] >= end - 0.01
            inside = second["ts"] + second["dur"] <= end + 0.01
            assert apart or inside, (first, second)
    return slices


@pytest.mark.parametrize("name", ["last_batch_hang", "unknown", "healthy", "empty"])
def test_it_is_a_valid_trace(name: str) -> None:
    check(render_trace(getattr(report_samples, name)()[0]))
    check(render_trace(report_hostile.large()[0]))


def test_the_open_step_lasts_to_the_collection() -> None:
    collection, _ = report_samples.last_batch_hang()
    slices = check(render_trace(collection))
    (step,) = [each for each in slices if each["cat"] == "step" and each["args"]["open"]]
    assert step["name"] == "step 4413, open for 31.2 s"
    assert step["dur"] == pytest.approx(31.2e6)
    ends = [each["ts"] + each["dur"] for each in slices]
    assert step["ts"] + step["dur"] == pytest.approx(max(ends))
    assert {each["cat"] for each in slices} == {"step", "epoch", "save"}


@pytest.mark.parametrize("hostile", report_hostile.HOSTILE)
def test_hostile_text_is_inert(hostile: str) -> None:
    collection, _ = report_hostile.poisoned(hostile)
    check(render_trace(collection))
    for document in (render_trace(collection), render_speedscope(collection)):
        json.dumps(document, ensure_ascii=False).encode()


def flight(*events: Event, open_spans: tuple[OpenSpan, ...] = ()) -> Collection:
    held = Flight("w:0", "", events, open_spans, 0, 0, read_at=20.0)
    return Collection(1_020.0, 0.0, (Process("w:0", 1, "a", flight=held),))


def test_a_clock_that_was_set_back_does_not_turn_time_around() -> None:
    (lane,) = lanes(flight(Event(10.0, 5_000.0, "step_begin", 1, 0), Event(11.0, 1_011.0, "step_end", 1, 0)))
    (span,) = lane.spans
    assert (span.start, span.end, lane.read) == (1_010.0, 1_011.0, 1_020.0)


def test_an_end_without_its_begin_is_a_mark_and_a_lost_end_is_no_span() -> None:
    (lane,) = lanes(
        flight(
            Event(10.0, 1_010.0, "step_end", 1, 0),
            Event(11.0, 1_011.0, "step_begin", 2, 0),
            Event(12.0, 1_012.0, "step_begin", 3, 0),
            Event(13.0, 1_013.0, "step_end", 3, 0),
        )
    )
    assert [mark.what for mark in lane.marks] == ["step_end"]
    assert [span.step for span in lane.spans] == [3]


def test_steps_of_two_threads_are_two_tracks() -> None:
    trace = render_trace(
        flight(
            Event(10.0, 1_010.0, "step_begin", 1, 0, thread=1),
            Event(10.5, 1_010.5, "step_begin", 2, 0, thread=2),
            Event(11.0, 1_011.0, "step_end", 1, 0, thread=1),
            Event(11.5, 1_011.5, "step_end", 2, 0, thread=2),
        )
    )
    assert len({each["tid"] for each in check(trace)}) == 2


def test_nested_barriers_are_told_apart_by_their_labels() -> None:
    (lane,) = lanes(
        flight(
            Event(10.0, 1_010.0, "barrier_begin", 1, 0, label="outer"),
            Event(11.0, 1_011.0, "barrier_begin", 1, 0, label="inner"),
            Event(12.0, 1_012.0, "barrier_end", 1, 0, label="inner"),
            Event(13.0, 1_013.0, "barrier_end", 1, 0, label="outer"),
        )
    )
    assert [(span.label, span.end - span.start) for span in lane.spans] == [("outer", 3.0), ("inner", 1.0)]


def test_speedscope_has_a_profile_a_rank_and_its_frames_once() -> None:
    collection, _ = report_samples.last_batch_hang()
    document = render_speedscope(collection)
    assert [profile["name"] for profile in document["profiles"]] == [
        *(f"ps:{i}" for i in range(4)),
        "worker:0",
    ]
    frames = document["shared"]["frames"]
    assert len({json.dumps(frame) for frame in frames}) == len(frames)
    for profile in document["profiles"]:
        assert len(profile["samples"]) == len(profile["weights"]) == profile["endValue"]
        assert all(index < len(frames) for stack in profile["samples"] for index in stack)
