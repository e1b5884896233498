"""The table of speed: which benches are run, what is said of those that failed, and how figures are compared."""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path

import msgspec
import pytest

sys.path.append(str(Path(__file__).parents[2] / "bench"))  # at the end: some benches are called as modules of Python

import all as speed
import speed_figures
import unstopped
from speed_figures import BENCHES, Figure

MACHINE = speed.Machine(2, "Some CPU", 25, "6.18", "3.11.4")


def row(bench: str, *figures: Figure, failed: str = "", load: float = 0.1, commit: str = "abc1234") -> speed.Row:
    argv = next(one.argv for one in BENCHES if one.name == bench)
    return speed.Row(bench, argv, "2026-11-28T20:00:00+00:00", commit, MACHINE, load, 9.5, figures, failed)


MERGED = row("merge", Figure("ranks merged", 4.5, "s", "the aim, at most", 3.0), Figure("memory", 1250.4, "MB"))
FAILED = row("attach", failed="not done within 150 s", load=1.9)


def test_benches_are_chosen_by_parts_of_their_names_and_a_name_that_fits_none_is_an_error() -> None:
    assert speed.chosen([]) == list(BENCHES)
    assert [bench.name for bench in speed.chosen(["attach"])] == ["attach", "attach_overhead"]
    assert [bench.name for bench in speed.chosen(["merge", "record"])] == ["merge", "recorder"]
    with pytest.raises(SystemExit, match="no bench has 'merg3'"):
        speed.chosen(["recorder", "merg3"])


def test_every_bench_is_a_file_that_takes_these_options_and_they_take_ten_minutes_to_half_an_hour_at_most() -> None:
    for bench in BENCHES:
        source = (speed.HERE / bench.argv[0]).read_text()
        assert all(f'"{word}"' in source for word in bench.argv if word.startswith("--"))
    assert len({bench.name for bench in BENCHES}) == len(BENCHES)
    assert sum(bench.deadline for bench in BENCHES) < 1800


def test_a_log_is_gone_on_with_and_what_failed_or_is_called_otherwise_is_run_again() -> None:
    other = msgspec.structs.replace(MERGED, argv=("merge.py", "--ranks", "7"))
    names = [bench.name for bench in speed.left_to_run(BENCHES, [MERGED, FAILED])]
    assert "merge" not in names and "attach" in names
    assert "merge" in [bench.name for bench in speed.left_to_run(BENCHES, [other])]


def test_the_newest_row_of_each_bench_counts_and_they_come_in_one_order() -> None:
    again = msgspec.structs.replace(MERGED, commit="def5678")
    assert speed.newest(BENCHES, [MERGED, FAILED, again]) == [FAILED, again]


def test_the_table_has_the_machine_the_ratio_the_load_and_what_failed() -> None:
    text = speed.table([FAILED, MERGED])
    assert "2026-11-28, commit abc1234. 2 cores (Some CPU), 25 GB, Linux 6.18, CPython 3.11.4." in text
    assert "0.1 to 1.9; 1 of 2 began while more than half of the cores had other work" in text
    assert "| attach | **failed** | not done within 150 s | | 1.9 | `attach` |" in text
    assert "| ranks merged | 4.5 s | the aim, at most: 3 s | 1.50 | 0.1 | `merge` |" in text
    assert "| memory | 1,250 MB |  |  | 0.1 | `merge` |" in text


def test_each_line_of_the_table_has_as_many_cells_as_its_head_whatever_a_bench_says() -> None:
    odd = row("fuzz", failed="a | b\nc")
    lines = [line for line in speed.table([odd, MERGED]).splitlines() if line.startswith("|")]
    assert len(lines) == 5 and {line.count("|") for line in lines} == {7}


def test_rows_of_two_commits_say_so() -> None:
    both = [FAILED, msgspec.structs.replace(MERGED, commit="def5678+")]
    assert "commit abc1234, def5678+." in speed.table(both)


@pytest.mark.parametrize(("value", "said"), [(3.0, "3"), (0.04567, "0.0457"), (98.765, "98.8"), (1250.4, "1,250")])
def test_numbers_have_three_digits_that_count(value: float, said: str) -> None:
    assert speed.number(value) == said


def test_the_prose_around_the_table_stays_and_a_page_without_markers_is_refused() -> None:
    page = f"before\n\n{speed.BEGIN}\nold\n{speed.END}\n\nafter\n"
    new = speed.written(page, "new")
    assert new == page.replace("old", "new") and speed.written(new, "new") == new
    with pytest.raises(ValueError, match="figures: end"):
        speed.written("no markers", "new")


def test_the_page_has_its_markers_and_names_every_bench() -> None:
    text = speed.PAGE.read_text()
    speed.written(text, "")
    assert set(re.findall(r"\| `(\w+\.py)", text)) == {bench.argv[0] for bench in BENCHES}


def test_a_tool_that_is_not_installed_is_not_compared_with() -> None:
    found = speed_figures.attach(
        [
            {"tool": "lastbatch, all threads, first time", "seconds": 2.0, "pause_median_ms": 0.0},
            {"tool": "lastbatch, all threads", "seconds": 1.0, "pause_median_ms": 0.0},
            {"tool": "gdb", "seconds": 20.0, "pause_median_ms": 900.0},
        ]
    )
    assert {figure.than for figure in found} == {"later", "`gdb`"}


def test_a_thread_read_asleep_is_equal_shorter_or_wrong() -> None:
    whole = [["_start", ""], ["main", ""], ["wait", ""]]
    stopped = {1: whole, 2: whole, 3: whole, 4: whole, 5: whole}
    quiet = {1: whole, 2: whole[1:], 3: [["main", ""], ["other", ""]], 4: [["_start", ""], ["wait", ""]]}
    assert unstopped.compared(quiet, stopped) == Counter(
        {"threads": 5, "not stopped": 2, "equal": 1, "wrong": 1, "shorter": 2, "shorter and wrong": 1}
    )
