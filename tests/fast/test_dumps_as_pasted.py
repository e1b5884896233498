"""A paste is read as it was before a terminal, a launcher or a mail program changed it.

Each report of tests/data/dumps is changed as people's pastes are, a few times each with a fixed seed. No change may
make another cause of it, and hardly any may lose what was known (bench/dumps.py does many more).
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import pytest
from test_dumps_of_others import CASES, HOME, expected_of, kind_of

from diagnostics import importers, pipeline

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))
from dumps import MUTATIONS, family_of, files_of, mutated

MOST_LOST = 0.1


def test_no_change_of_the_paste_makes_another_cause() -> None:
    chance = random.Random(7)
    lost, tried, wrong = 0, 0, []
    for name in CASES:
        files = files_of(HOME / name)
        before = family_of(files)
        for mutation in chance.sample(sorted(MUTATIONS), 2):
            after = family_of(mutated(files, mutation, chance))
            tried += before != "unknown" and mutation not in ("cut-beginning", "cut-end")
            if after not in (before, "unknown") and kind_of(expected_of(name), after) == "wrong":
                wrong.append((name, mutation, before, after))
            elif after == "unknown" != before and mutation not in ("cut-beginning", "cut-end"):
                lost += 1
    assert not wrong, wrong
    assert tried > 10 and lost <= MOST_LOST * tried, (lost, tried)


@pytest.mark.parametrize("mutation", sorted(MUTATIONS))
def test_a_watchdogs_lines_survive(mutation: str) -> None:
    files = files_of(HOME / "mlm-4910")
    assert family_of(mutated(files, mutation, random.Random(3))) in ("collective-mismatch", "unknown")


@pytest.mark.parametrize("begins", [5, 8, 12])
def test_of_a_paste_that_begins_behind_the_main_thread_no_rank_is_said_to_be_elsewhere(
    begins: int, tmp_path: Path
) -> None:
    """What is left of the one rank are helpers; where it stands is not told. The other waits in a barrier."""
    whole = (HOME / "kempner-104" / "rank0.txt").read_text("utf-8")
    (tmp_path / "rank0.txt").write_text("".join(whole.splitlines(keepends=True)[begins - 1 :]))
    (tmp_path / "rank1.txt").write_text((HOME / "kempner-104" / "rank1.txt").read_text("utf-8"))
    assert family_of({path.name: path.read_bytes() for path in tmp_path.iterdir()}) == "unknown"


SPY = 'Thread 4711 (idle): "MainThread"\n    wait (threading.py:320)\n    step (train.py:44)\n'


def test_records_of_a_log_collector_are_read_by_their_message() -> None:
    """GIVEN a dump of which every line is a JSON record, THEN it says what the dump itself does."""
    records = "\n".join(json.dumps({"log": line + "\n", "stream": "stderr"}) for line in SPY.splitlines())
    plain, packed = (importers.imported(text.encode(), "train.log").processes for text in (SPY, records))
    assert [thread.frames for thread in packed[0].threads] == [thread.frames for thread in plain[0].threads] != []


@pytest.mark.parametrize("heading", ["rank {}:", "### Rank {} (pid 9)", "[rank {}]", "py-spy dump of rank {}:"])
def test_a_heading_alone_above_a_stack_tells_whose_it_is(heading: str) -> None:
    text = "\n".join(f"{heading.format(rank)}\n{SPY}" for rank in (0, 1))
    assert {process.rank for process in importers.imported(text.encode(), "stacks.txt").processes} == {
        "worker:0", "worker:1",
    }  # fmt: skip


def test_a_shell_that_says_killed_tells_no_cause() -> None:
    """GIVEN a log that ends before the line that tells who killed the process, THEN no cause is named."""
    line = b"Epoch 3\n/var/spool/job: line 28:  8156 Killed    python3 main.py --epochs 400\n"
    _, diagnosis = pipeline.explain(importers.collection_of([importers.imported(line, "job.err")]))
    assert not [finding for finding in diagnosis.findings if finding.confidence > 0.5]
    assert "8156" in diagnosis.summary
