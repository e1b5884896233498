"""Rank sets, durations, and text made inert."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnostics.model import Evidence, StackNode, State
from diagnostics.report.text import (
    LONGEST,
    compact_ranks,
    confidence_words,
    duration,
    percent,
    sanitize,
    sanitize_text,
    size,
    wall_time,
)

roles = st.from_regex(r"[A-Za-z_][A-Za-z0-9_./]{0,8}", fullmatch=True)
shared = st.sampled_from(["ps", "worker"])
ranks = st.builds(lambda role, index: f"{role}:{index}", shared | roles, st.integers(0, 300))


def expanded(text: str) -> set[str]:
    """The ranks that it names."""
    found = set()
    for part in text.split(", ") if text else []:
        if match := re.fullmatch(r"([\w./]+):(\d[\d,-]*)", part):
            for run in match[2].split(","):
                first, _, last = run.partition("-")
                found |= {f"{match[1]}:{index}" for index in range(int(first), int(last or first) + 1)}
        else:
            found.add(part)
    return found


@given(st.sets(ranks | roles))
def test_a_compact_set_names_the_same_ranks(names: set[str]) -> None:
    assert expanded(compact_ranks(names)) == names


@given(st.sets(ranks))
def test_a_compact_set_does_not_depend_on_order(names: set[str]) -> None:
    assert compact_ranks(sorted(names)) == compact_ranks(sorted(names, reverse=True))


@pytest.mark.parametrize(
    ("given_ranks", "text"),
    [
        ([], ""),
        (["worker:0"], "worker:0"),
        ([*(f"ps:{index}" for index in range(4)), "worker:0"], "ps:0-3, worker:0"),
        (["ps:9", "ps:10", "ps:1", "ps:11"], "ps:1,9-11"),
        (["chief", "ps:0", "ps:0"], "chief, ps:0"),
        (["ps:01", "ps:1"], "ps:1, ps:01"),
        (["node:7:0", "node:7:1"], "node:7:0-1"),
    ],
)
def test_rank_sets(given_ranks: list[str], text: str) -> None:
    assert compact_ranks(given_ranks) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "\N{EN DASH}"), (float("nan"), "\N{EN DASH}"), (float("inf"), "\N{EN DASH}"), (0, "0 s"),
        (0.00018, "180 µs"), (0.002, "2 ms"), (0.0025, "2.5 ms"), (0.412, "412 ms"), (0.9999, "1.0 s"),
        (14.23, "14.2 s"), (59.96, "1 min"), (185, "3 min 5 s"), (3600, "1 h"), (7800, "2 h 10 min"),
        (356_400, "4 d 3 h"),
    ],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.floats())
def test_any_number_has_words(number: float) -> None:
    assert duration(number) and percent(number) and confidence_words(number) and wall_time(number)


def test_confidence_is_never_shown_as_certain() -> None:
    assert (percent(1.0), percent(0.0), percent(0.88)) == ("99 %", "1 %", "88 %")
    assert confidence_words(0.5) == "not carried by the evidence"


def test_sizes() -> None:
    assert [size(count) for count in (0, 812, 4_123, 22_600_000)] == ["0 B", "812 B", "4.1 kB", "22.6 MB"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("naïve 步", "naïve 步"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\tc", "a ↵ b    c"),
        ("\udcff", "\\udcff"),
        ("\u202eevil", "\\u202eevil"),
        ("a\x00\x9b\x7f", "a\\x00\\x9b\\x7f"),
    ],
)
def test_unsafe_characters_are_shown_as_escapes(text: str, shown: str) -> None:
    assert sanitize_text(text) == shown


@given(st.text(st.characters(codec=None), max_size=60))
def test_inert_text_is_printable_and_can_be_written(text: str) -> None:
    shown = sanitize_text(text)
    shown.encode()
    assert "\x1b" not in shown and "\n" not in shown
    assert sanitize_text(shown) == shown


def test_long_text_is_cut_with_a_count() -> None:
    assert sanitize_text("x" * (LONGEST + 5)).endswith("x… (5 more characters)")


def test_inert_goes_through_records_and_leaves_clean_ones_alone() -> None:
    clean = Evidence("fact", "source", ("ps:0",))
    assert sanitize(clean) is clean
    assert sanitize(Evidence("\x07", "s", ("\x08",))) == Evidence("\\x07", "s", ("\\x08",))
    assert sanitize({"\x07": "\x08"}) == {"\\x07": "\\x08"}
    assert sanitize(State.HUNG) is State.HUNG


def test_a_stack_of_any_depth_is_borne() -> None:
    node = StackNode("f", "", False, ("r:0",), 1)
    for _ in range(5_000):
        node = StackNode("f", "", False, ("r:0",), 1, (node,))
    assert sanitize(node) is node
