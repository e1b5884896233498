"""Public reports of hangs: what is in their files is said, the cause is named where they carry one, and never guessed.

Each case in tests/data/dumps is a job's files and expected.json; docs/dumps.md says how to add one.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from diagnostics import importers, pipeline
from diagnostics.analyze.progress import Limits
from diagnostics.report.document import as_json

HOME = Path(__file__).parent.parent / "data" / "dumps"
CASES = sorted(path.parent.name for path in HOME.glob("*/expected.json"))
CAUSES_NAMED, FACTS_SAID, MOST_WRONG = 0.8, 0.9, 0.03


class Outcome(NamedTuple):
    family: str
    text: str


def diagnose(folder: Path) -> Outcome:
    files = [path for path in sorted(folder.iterdir()) if path.name != "expected.json"]
    given, unread = importers.read_all(files)
    assert not unread, unread
    collection, diagnosis = pipeline.explain(importers.collection_of(given), Limits())
    best = diagnosis.findings[0] if diagnosis.findings else None
    named = best.family if best and best.confidence > 0.5 else "unknown"
    return Outcome(named, json.dumps(as_json(collection, diagnosis, None)))


def expected_of(name: str) -> dict[str, Any]:
    expected: dict[str, Any] = json.loads((HOME / name / "expected.json").read_text())
    return expected


@pytest.fixture(scope="session")
def outcomes() -> dict[str, Outcome]:
    return {name: diagnose(HOME / name) for name in CASES}


def kind_of(expected: dict[str, Any], family: str) -> str:
    fine = {expected["family"], *expected["also_fine"]}
    if family == expected["family"] or (family in fine and family != "unknown"):
        return "right"
    if family == "unknown":
        return "allowed" if "unknown" in fine else "abstained"
    return "wrong"


def test_the_cases_as_a_whole(outcomes: dict[str, Outcome]) -> None:
    """The bars that the corpus sets: causes named where a case carries one, facts said, hardly anything wrong."""
    kinds = {name: kind_of(expected_of(name), outcome.family) for name, outcome in outcomes.items()}
    carried = [n for n in CASES if expected_of(n)["family"] != "unknown" and kinds[n] != "allowed"]
    named = [name for name in carried if kinds[name] == "right"]
    asked = [name for name in CASES if expected_of(name)["must_say"]]
    said = [n for n in asked if all(re.search(w, outcomes[n].text, re.I) for w in expected_of(n)["must_say"])]
    wrong = {name: outcomes[name].family for name in CASES if kinds[name] == "wrong"}
    print(f"named {len(named)} of {len(carried)}; said {len(said)} of {len(asked)}; wrong {wrong}; "
          f"not named {sorted(set(carried) - set(named))}; not said {sorted(set(asked) - set(said))}")  # fmt: skip
    assert len(wrong) <= MOST_WRONG * len(CASES), wrong
    assert len(named) >= CAUSES_NAMED * len(carried), sorted(set(carried) - set(named))
    assert len(said) >= FACTS_SAID * len(asked), sorted(set(asked) - set(said))


def test_what_a_file_gives_is_said_first_where_nothing_follows_from_it() -> None:
    """GIVEN reports of which no cause can be named, THEN the summary is who stands where, or what the log states."""
    told = {name: json.loads(diagnose(HOME / name).text)["summary"] for name in ("verl-1158", "jax-6896", "pt-1355")}
    assert "all_to_all 4486" in told["verl-1158"] and "alike" in told["verl-1158"]
    assert "device 2 has not come" in told["jax-6896"]
    assert "process 58" in told["pt-1355"]


def test_a_rank_of_which_nothing_is_known_is_nobodys_culprit() -> None:
    """GIVEN a log in which one rank alone says where it stands, THEN no other is said to keep it waiting."""
    for name in ("nccl-1730", "sgl-1693", "ace-348", "pt-118369"):
        answer = json.loads(diagnose(HOME / name).text)
        assert not [culprit for culprit in answer["culprits"] if "waits for it" in culprit["why"]], name
