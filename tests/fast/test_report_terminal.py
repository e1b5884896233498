"""What a terminal shows, at any width, with or without colour."""

from __future__ import annotations

import html
import io
import re

import msgspec
import pytest
import report_hostile
import report_samples
from rich.console import Console

from diagnostics.model import Collection, Culprit, Device, DeviceReading, Diagnosis, Process, StageError, State
from diagnostics.report.html import render_html
from diagnostics.report.markdown import render_markdown
from diagnostics.report.terminal import MOST_ROWS, render_diagnosis
from diagnostics.report.text import columns


def printed(sample: tuple[Collection, Diagnosis], width: int = 100, colour: bool = False, verbose: bool = True) -> str:
    file = io.StringIO()
    Console(
        file=file,
        width=width,
        force_terminal=colour,
        color_system="truecolor" if colour else None,
        legacy_windows=False,
    ).print(render_diagnosis(*sample, verbose=verbose, source="hang.tar.zst"))
    return file.getvalue()


@pytest.mark.parametrize("verbose", [True, False])
@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("name", ["last_batch_hang", "eight_ranks", "unknown", "healthy", "empty"])
def test_it_fits(name: str, width: int, verbose: bool) -> None:
    text = printed(getattr(report_samples, name)(), width, verbose=verbose)
    assert max(columns(line) for line in text.splitlines()) <= width
    assert "\x1b" not in text


@pytest.mark.parametrize("alike", [True, False])
@pytest.mark.parametrize("width", [80, 100])
def test_the_first_screen_of_eight_ranks_holds_the_answer(width: int, alike: bool) -> None:
    """GIVEN eight hung ranks, THEN 24 lines say who, where, what for, since when, what next."""
    text = printed(report_samples.eight_ranks(alike), width, verbose=False)
    lines = text.splitlines()
    assert len(lines) <= 24, text
    assert lines[0].startswith("HUNG for 6 min 52 s, since about 09:55 UTC")
    whole = " ".join(text.split())
    for part in (
        "Culprit worker:7 (pid 4107 on node-a), 90 % sure: in DataLoader.__next__, load (data.py:118)",
        "waits for the next batch", "Cause dataloader-worker, dataloader-worker-killed (86 %, very likely)",
        "worker:0-6 wait for worker:7 (pid 4107)",
        "Do Look for the out-of-memory killer",
        "Do Set timeout=", "Next lastbatch diagnose --verbose hang.tar.zst", "Proven by trace: a receive",
        "worker:0-7 batch 98 of epoch 3",
    ):  # fmt: skip
        assert part in whole, text
    table = [line for line in lines if re.match(r"worker:\S+ +hung", line)]
    assert table[0].startswith("worker:7") and "(data.py:118)" in table[0]
    assert len(table) == (2 if alike else 8)
    if alike:
        assert re.match(r"worker:0-6 +hung +6 min 52 s +all_reduce.* step \(train.py:44\)", table[1]), text
    else:
        assert all(f"(train.py:{44 + index})" in text for index in range(7)), text
    assert "Evidence for it" not in text and "Upgrade" not in text


@pytest.mark.parametrize("width", [80, 100])
def test_long_words_and_two_culprits_cost_no_more_lines(width: int) -> None:
    """GIVEN all that can be said at once, each at length, THEN it is shortened, and every part is still there."""
    collection, diagnosis = report_samples.eight_ranks(alike=False)
    long = "and so it goes on and on " * 20
    first, finding = diagnosis.culprits[0], diagnosis.findings[0]
    culprits = tuple(msgspec.structs.replace(first, rank=f"worker:{index}", why=long) for index in (7, 6, 5))
    wordy = msgspec.structs.replace(
        diagnosis, summary=long, culprits=culprits,
        findings=(msgspec.structs.replace(finding, title=long, remedy=("first " + long, "second " + long)),),
    )  # fmt: skip
    helpers = tuple(Process(f"child/worker:{index}/{index + 9000}", index + 9000, "node-a") for index in range(8))
    everybody = msgspec.structs.replace(collection, processes=(*collection.processes, *helpers))
    text = printed((everybody, wordy), width, verbose=False)
    assert len(text.splitlines()) <= 24, text
    for part in ("Culprit worker:7", "Culprit worker:6", "Or      worker:5", "Cause", "first and", "Next", "8 unknown"):
        assert part in text, text
    assert sum(f"worker:{index} " in line for line in text.splitlines() for index in range(8)) >= 8


def test_a_large_job_fits_on_the_first_screen() -> None:
    """GIVEN a hundred ranks, each at a place of its own, THEN those after the eighth are counted."""
    collection, diagnosis = report_samples.eight_ranks(alike=False)
    many = tuple(
        msgspec.structs.replace(
            each, rank=f"worker:{index}", pid=index,
            positions=(msgspec.structs.replace(each.positions[0], line=index),),
        )
        for index in range(100) for each in collection.processes[:1]
    )  # fmt: skip
    text = printed((msgspec.structs.replace(collection, processes=many), diagnosis), 80, verbose=False)
    assert len(text.splitlines()) <= 24 and "and 92 more (92 hung)" in text


def test_healthy_and_untold_are_said_in_the_first_line() -> None:
    assert printed(report_samples.healthy(), verbose=False).startswith("Healthy")
    untold = (Collection(0.0, 0.0, (Process("w:0", 7, "a"),)), Diagnosis("unknown", "w:0 stands", (), ("more",)))
    text = printed(untold, verbose=False)
    assert text.startswith("It cannot be told") and "Next    lastbatch attach 7" in text and "Collect more" in text


def test_a_failed_stage_costs_one_line() -> None:
    collection, diagnosis = report_samples.eight_ranks()
    failed = msgspec.structs.replace(diagnosis, errors=(StageError("cause x", "ValueError: " + "y" * 300),))
    lines = printed((collection, failed), 80, verbose=False).splitlines()
    assert len(lines) <= 24 and lines[-1].startswith("cause x failed: ValueError")


def test_at_80_columns_no_cell_of_the_recorder_is_cut() -> None:
    text = printed(report_samples.last_batch_hang(), 80)
    text = text[text.index("5 of 5 ranks gave evidence") :]
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    row = next(line for line in text.splitlines() if line.startswith("worker:0  hung"))
    assert row.split()[:9] == ["worker:0", "hung", "2,206", "0", "1", "no", "step", "4,413", "pystack"]
    assert row.split()[9:] == ["412", "4120"]


def test_it_tells_the_whole_story() -> None:
    text = " ".join(printed(report_samples.last_batch_hang(), 120).split())
    for part in (
        "tf-recv-registered-after-abort", "88 %, very likely", "5 of 5 ranks", "worker:0 → ps:0-3",
        "Evidence for it", "Every server is alive and idle", "[ps:0-3, pystack]", "Evidence against it",
        "Missing", "What to do", "1. Upgrade to TensorFlow 1.13", "peer-frozen 6 %", "pull/23580",
    ):  # fmt: skip
        assert part in text, part


def test_unknown_names_no_cause_and_says_what_to_take_next() -> None:
    text = printed(report_samples.unknown())
    assert "Cause   not known" in text
    assert "Next evidence to take" in text and "What to do" not in text


def test_of_a_large_job_those_in_trouble_are_shown() -> None:
    calm = tuple(Process(f"worker:{index}", index + 1, "a", State.PROGRESSING) for index in range(100))
    hung = Process("worker:100", 101, "b", State.HUNG, stacks_from="pyspy")
    text = printed((Collection(0.0, 0.0, (*calm, hung)), report_samples.empty()[1]))
    assert re.search(r"worker:100 +hung", text)
    assert f"and {101 - MOST_ROWS} more ranks: {101 - MOST_ROWS} progressing" in text


@pytest.mark.parametrize("hostile", report_hostile.HOSTILE)
def test_hostile_text_is_inert(hostile: str) -> None:
    text = printed(report_hostile.poisoned(hostile), 80)
    text.encode()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", text)
    coloured = printed(report_hostile.poisoned(hostile), 80, colour=True)
    # Of escape sequences only our own colours remain, and no link.
    assert "\x1b" not in re.sub(r"\x1b\[[\d;]*m", "", coloured)


def test_markup_in_the_evidence_is_shown_as_it_is() -> None:
    collection, diagnosis = report_samples.unknown()
    marked = msgspec.structs.replace(diagnosis, summary="[red]x[/red]")
    assert "[red]x[/red]" in printed((collection, marked))


def test_in_80_columns_no_state_and_no_pid_is_broken_or_lost() -> None:
    """GIVEN the longest state and tool there are, THEN a reader still finds them, and the pid, in a plain terminal."""
    process = Process("worker:1", 31999, "h", State.PROGRESSING, stacks_from="py-spy+unwind")
    shown = printed((Collection(1.0, 1.0, (process,)), Diagnosis("none", "well", (), ())), 80)
    shown = shown[shown.index("1 of 1 rank gave evidence") :]
    assert "progressing" in shown and "31999" in shown and "+unwind" in shown


def test_children_are_named_as_people_would_say() -> None:
    """AND a lone culprit is not told twice: what stands above it says nothing that it does not."""
    rank = "child/worker:0/4711"
    culprit = Culprit(rank, 4711, "a", 0.8, f"worker:0 waits for {rank}")
    processes = (Process(rank, 4711, "a", State.HUNG, since=30.0),)
    text = printed(
        (Collection(0.0, 0.0, processes), Diagnosis("unknown", f"{rank} stands", (), (), True, (culprit,))),
        verbose=False,
    )
    lines = text.splitlines()
    assert lines[0] == "HUNG for 30.0 s" and "child/" not in text
    assert lines[1].startswith("Culprit child 4711 of worker:0 (on a), 80 % sure")


def test_what_the_cards_tell_is_on_the_first_screen() -> None:
    collection, diagnosis = report_samples.eight_ranks()
    reading = DeviceReading(1.0, use=100, power=124.0, clock=1980)
    card = Device("node-a", 0, "H100", power_limit=700.0, pids=(4107,), readings=(reading, reading))
    text = printed((msgspec.structs.replace(collection, devices=(card,)), diagnosis), 100, verbose=False)
    (line,) = [line for line in text.splitlines() if line.startswith("GPU ")]
    assert line.startswith("GPU     worker:7: ") and "card 0 at 100 % use" in line
    assert len(text.splitlines()) <= 24


def test_why_a_source_gave_nothing_is_told_by_all_reports_and_not_on_the_first_screen() -> None:
    ring = "the ring's entries have an unknown form"
    torch = tuple(Process(f"worker:{rank}", rank + 1, "a", framework_why_not=ring) for rank in (0, 1))
    sample = (Collection(0.0, 0.0, torch, left_out=("locks: gave up",)), report_samples.empty()[1])
    for text in (printed(sample), render_markdown(*sample), render_html(*sample)):
        for said in ("locks: gave up", "unknown form", "the collectives of worker:0-1"):
            assert said in html.unescape(text).replace("\\", "")
    assert "unknown form" not in printed(sample, verbose=False)
