"""What a terminal shows, at any width, with or without colour."""

from __future__ import annotations

import io
import re

import msgspec
import pytest
import report_samples
from rich.console import Console

from diagnostics.model import Collection, Diagnosis, Process, State
from diagnostics.report.terminal import MOST_ROWS, render_diagnosis
from diagnostics.report.text import columns


def printed(sample: tuple[Collection, Diagnosis], width: int = 100, colour: bool = False) -> str:
    file = io.StringIO()
    Console(
        file=file,
        width=width,
        force_terminal=colour,
        color_system="truecolor" if colour else None,
        legacy_windows=False,
    ).print(render_diagnosis(*sample))
    return file.getvalue()


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("name", ["last_batch_hang", "unknown", "healthy", "empty"])
def test_it_fits(name: str, width: int) -> None:
    text = printed(getattr(report_samples, name)(), width)
    assert max(columns(line) for line in text.splitlines()) <= width
    assert "\x1b" not in text


def test_at_80_columns_no_cell_is_cut() -> None:
    text = printed(report_samples.last_batch_hang(), 80)
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
    assert "Verdict: unknown" in text and "none is named" in text
    assert "Next evidence to take" in text and "What to do" not in text


def test_of_a_large_job_those_in_trouble_are_shown() -> None:
    calm = tuple(Process(f"worker:{index}", index + 1, "a", State.PROGRESSING) for index in range(100))
    hung = Process("worker:100", 101, "b", State.HUNG, stacks_from="pyspy")
    text = printed((Collection(0.0, 0.0, (*calm, hung)), report_samples.empty()[1]))
    assert re.search(r"worker:100 +hung", text)
    assert f"and {101 - MOST_ROWS} more ranks: {101 - MOST_ROWS} progressing" in text


@pytest.mark.parametrize("hostile", report_samples.HOSTILE)
def test_hostile_text_is_inert(hostile: str) -> None:
    text = printed(report_samples.poisoned(hostile), 80)
    text.encode()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", text)
    coloured = printed(report_samples.poisoned(hostile), 80, colour=True)
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
    assert "progressing" in shown and "31999" in shown and "+unwind" in shown
