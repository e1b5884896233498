"""The row a rank, the verdict and the JSON document."""

from __future__ import annotations

import json

import msgspec
import pytest
import report_hostile
import report_samples

from diagnostics.cli.showing import exit_code
from diagnostics.model import Collection, Diagnosis, Flight, OpenSpan, Process, State
from diagnostics.report.document import as_json
from diagnostics.report.verdict import verdict_of
from diagnostics.report.view import coverage, open_words, rank_rows, repeat_command


def test_the_json_has_the_shape_that_others_rely_on() -> None:
    document = as_json(*report_samples.last_batch_hang(), "hang.tar.zst")
    assert list(document) == [
        "verdict", "hung", "summary", "culprits", "ranks", "devices", "waits", "facts", "findings", "next_evidence",
        "errors", "bundle",
    ]  # fmt: skip
    assert document["hung"] is True and document["summary"].startswith("worker:0 waits for a tensor")
    threads = document["ranks"][0].pop("threads")
    assert threads[0]["function"] == "train_epoch" and threads[0]["innermost"] == "pthread_cond_wait"
    position = document["ranks"][0].pop("position")
    assert list(position) == [
        "operation", "function", "file", "line", "waits_for", "since_s", "busy", "tid", "group", "number",
    ]  # fmt: skip
    assert (position["function"], position["line"], position["since_s"]) == ("train_epoch", 38, None)
    why = document["ranks"][0].pop("state_why")
    assert why.startswith("in step 4,413 for 31.2 s")
    assert document["ranks"][0] == {
        "rank": "worker:0", "pid": 4120, "host": "node-a", "state": "hung", "since_s": None, "stacks_from": "pystack",
        "pause_ms": 412.0,
        "why_not": "", "waits_for": [], "device": None,
    }  # fmt: skip
    document["ranks"][0] |= {"position": position, "state_why": why}
    document["ranks"][0]["threads"] = threads
    assert list(document["findings"][0]) == [
        "cause", "family", "confidence", "title", "evidence", "against", "missing", "remedy", "references",
    ]  # fmt: skip
    assert document["findings"][0]["evidence"][0] == {
        "fact": "The step that hangs follows the last batch of its epoch: it ends in OutOfRange.",
        "source": "flight recorder",
        "ranks": ["worker:0"],
    }
    assert (document["verdict"], document["bundle"]) == ("rendezvous-abort-race", "hang.tar.zst")
    assert document == json.loads(json.dumps(document)) == msgspec.json.decode(msgspec.json.encode(document))


def test_the_json_names_the_culprit_with_its_position() -> None:
    document = as_json(*report_samples.eight_ranks(), None)
    culprit = document["culprits"][0]
    assert list(culprit) == ["rank", "pid", "host", "confidence", "why", "position"]
    assert (culprit["rank"], culprit["pid"], culprit["position"]["function"]) == ("worker:7", 4107, "load")
    ranks = {rank["rank"]: rank for rank in document["ranks"]}
    assert ranks["worker:0"]["since_s"] == 412.0 and ranks["worker:0"]["position"]["number"] == 41
    assert ranks["worker:0"]["position"]["operation"] == "all_reduce"


@pytest.mark.parametrize(
    ("hung", "state", "verdict", "code"),
    [
        (True, State.UNKNOWN, "unknown", 1), (True, State.HUNG, "rank-elsewhere", 1), (None, State.HUNG, "unknown", 1),
        (None, State.DEAD, "unknown", 1), (None, State.UNKNOWN, "unknown", 4), (None, State.UNKNOWN, "none", 0),
        (False, State.PROGRESSING, "none", 0), (False, State.SLOW, "slow", 0),
    ],
)  # fmt: skip
def test_the_exit_code_follows_the_hang(hung: bool | None, state: State, verdict: str, code: int) -> None:
    collection = Collection(0.0, 0.0, (Process("worker:0", 1, "a", state),))
    assert exit_code(collection, Diagnosis(verdict, "", (), (), hung=hung)) == code


def test_a_rank_that_was_expected_and_not_found_is_in_the_roll_call() -> None:
    document = as_json(*report_samples.unknown(), None)
    missing = next(rank for rank in document["ranks"] if rank["rank"] == "ps:3")
    assert missing == {
        "rank": "ps:3", "pid": None, "host": "", "state": "unreachable", "state_why": "", "since_s": None,
        "stacks_from": "", "pause_ms": 0.0, "why_not": "no process was found for it", "position": None,
        "threads": [], "waits_for": [], "device": None,
    }  # fmt: skip
    assert document["bundle"] is None


@pytest.mark.parametrize("hostile", report_hostile.HOSTILE)
def test_any_text_can_be_written_as_json(hostile: str) -> None:
    msgspec.json.encode(as_json(*report_hostile.poisoned(hostile), hostile))


def test_those_in_trouble_come_first() -> None:
    rows = rank_rows(report_samples.unknown()[0])
    assert [row.rank for row in rows] == ["worker:0", "ps:3", "ps:0", "ps:1", "ps:2"]
    assert coverage(rows).startswith("3 of 5 ranks gave evidence; none from ps:3 (")


def test_batch_0_of_epoch_0_is_known_and_minus_one_is_not() -> None:
    flight = Flight(
        "w:0", "", (), (OpenSpan("step", 2.0, 0, 0),), 0, 1, last_epoch=0, last_batch=0, last_rows=0
    )
    silent = Flight("w:1", "", (), (), 0, 0)
    first, second = rank_rows(
        Collection(0.0, 0.0, (Process("w:0", 1, "a", flight=flight), Process("w:1", 2, "a", flight=silent)))
    )
    assert (first.epoch, first.last_batch, first.rows, first.end_seen, first.open) == (
        "0", "0", "0", "no", ("step 0 for 2.0 s",),
    )  # fmt: skip
    assert (second.epoch, second.last_batch, second.rows, second.end_seen, second.open) == (
        "",
        "",
        "",
        "",
        (),
    )


def test_what_is_open_is_named() -> None:
    assert open_words(OpenSpan("barrier", 185.0, 7, 1, "init")) == "barrier (init) for 3 min 5 s"


def test_every_state_has_its_place() -> None:
    processes = tuple(Process(f"w:{index}", index + 1, "a", state) for index, state in enumerate(State))
    assert len(rank_rows(Collection(0.0, 0.0, processes))) == len(State)


@pytest.mark.parametrize(("confidence", "named"), [(0.51, True), (0.5, False), (0.0, False)])
def test_a_finding_has_to_be_above_one_half_to_be_named(confidence: float, named: bool) -> None:
    collection, diagnosis = report_samples.last_batch_hang()
    finding = msgspec.structs.replace(diagnosis.findings[0], confidence=confidence)
    verdict = verdict_of(collection, msgspec.structs.replace(diagnosis, findings=(finding,)))
    assert (verdict.finding is not None) is named
    assert len(verdict.candidates) == (0 if named else 1)


def test_the_command_that_repeats_a_trial() -> None:
    scenario = {"scenario": "last-batch", "runtime": "tf1.12", "ps": "4", "arm": "queue"}
    assert (
        " ".join(repeat_command(scenario))
        == "lastbatch run last-batch --arm queue --runtime tf1.12 --set ps=4"
    )
    assert repeat_command({}) == ()
