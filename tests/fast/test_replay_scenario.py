"""A stuck TensorFlow job is played by a scenario of the zoo: which arm and release, how large, with which input."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from test_late_recv import job, worker
from typer.testing import CliRunner

from diagnostics import bundle
from diagnostics.errors import MissingError
from diagnostics.model import Collection, Culprit, Diagnosis, Position, Role
from diagnostics.model.trace import Escaped, TraceResult, TraceVerdict
from diagnostics.pipeline import explain
from repro.cli import app
from repro.replay.compare import Hang, differences
from repro.replay.scenario import Choice, choose, hang_of, nearest, part_of, receivers

BUNDLES = Path(__file__).parents[1] / "data" / "replay"
"""Of jobs that others wrote (`tests/data/jobs`), on TensorFlow 1.12."""


def recorded(name: str) -> tuple[Collection, Diagnosis]:
    return explain(bundle.read(BUNDLES / f"{name}.tar.zst").collection)


@pytest.mark.parametrize(
    ("name", "command", "part"),
    [
        ("sync-starved", "sync-starved --arm uneven --runtime tf1.12 --set workers=2 --set ps=1", "a worker"),
        ("queue-off", "queue-runners-off --arm off --runtime tf1.12", "the chief"),
        (
            "server-absent",
            "startup --arm late --runtime tf1.12 --set workers=1 --set ps=2 --fault absent:ps:1",
            "a server",
        ),
    ],
)
def test_jobs_of_others_become_the_arm_that_hangs_of_their_cause(name: str, command: str, part: str) -> None:
    collection, diagnosis = recorded(name)
    choice = choose(collection, diagnosis, 8)
    assert " ".join(choice.command) == f"lastbatch run {command}"
    assert choice.expected.hang and choice.expected.truth == diagnosis.verdict
    assert hang_of(diagnosis) == Hang(diagnosis.verdict, (part,), False)


def race(collection: Collection) -> Choice:
    collection, diagnosis = explain(collection)
    assert diagnosis.verdict == "rendezvous-abort-race"
    return choose(collection, diagnosis, 8)


def test_the_race_is_played_with_the_jobs_servers_release_and_epoch_length() -> None:
    choice = race(job(worker(release="1.12.3")))
    assert (choice.scenario.name, choice.arm, choice.runtime) == ("last-batch", "dataset", "tf1.12")
    assert choice.given["workers"] == "1" and choice.given["ps"] == "4"
    assert int(choice.given["batches"]) > 0
    assert "input_on_ps" not in choice.given


def test_the_input_is_played_where_it_stands() -> None:
    collection, diagnosis = explain(job(worker()))
    makes = (Position(roles=(Role.INPUT_MAKE,)),)
    shared = tuple(
        msgspec.structs.replace(one, positions=makes) if one.rank == "ps:0" else one for one in collection.processes
    )
    choice = choose(msgspec.structs.replace(collection, processes=shared), diagnosis, 8)
    assert choice.given["input_on_ps"] == "true"
    assert any("ps:0" in words for words in choice.taken)


def test_servers_that_receive_no_step_are_not_played() -> None:
    """WHEN a look into memory tells which servers take part in the step, THEN only as many are."""
    escaped = Escaped("worker:0", "A", "1", "2", "3", "ps:2", 1, 1, 1.0, came_back=False)
    trace = TraceResult(
        "rendezvous", TraceVerdict.PROVEN, "", escaped=(escaped,), ran=("worker:0", "ps:1"), did_not_run=("ps:2",)
    )
    collection = msgspec.structs.replace(job(worker()), trace=trace)
    assert receivers(collection) == ("ps:1", "ps:2")
    assert race(collection).given["ps"] == "2"


def test_of_many_ranks_few_are_played_and_with_shrink_as_few_as_hang_as_certainly() -> None:
    collection, diagnosis = explain(job(worker()))
    many = tuple(f"ps:{index}" for index in range(40))
    collection = msgspec.structs.replace(collection, expected=(*collection.expected, *many))
    choice = choose(collection, diagnosis, 8)
    assert len(choice.ranks) == 8 and int(choice.given["workers"]) == 1
    assert any("alike" in words for words in choice.taken)
    smallest = choose(collection, diagnosis, 8, smallest=True)
    assert len(smallest.ranks) < 8
    assert smallest.expected.either == choice.expected.either


@pytest.mark.parametrize(
    ("release", "runtime"), [("1.12.3", "tf1.12"), ("1.14.0", "tf1.13"), ("1.2.0", "tf1.4"), ("", "tf1.4")]
)
def test_the_runtime_is_the_newest_that_is_not_newer(release: str, runtime: str) -> None:
    assert nearest(release, ("tf1.4", "tf1.12", "tf1.13", "tf1.15")) == runtime


def test_without_a_cause_no_scenario_is_chosen() -> None:
    collection = job(worker(flight=None))
    with pytest.raises(MissingError, match="no cause of this hang is named"):
        choose(*explain(collection), 8)


def test_a_cause_without_a_scenario_of_the_jobs_generation_is_said() -> None:
    collection, diagnosis = recorded("sync-starved")
    finding = msgspec.structs.replace(diagnosis.findings[0], cause="peer-dead", family="peer-dead")
    with pytest.raises(MissingError, match=r"no scenario for TensorFlow 1\.12\.0 hangs of peer-dead"):
        choose(collection, msgspec.structs.replace(diagnosis, findings=(finding,)), 8)


def test_ranks_are_compared_by_their_part_in_the_job() -> None:
    parts = [part_of(rank) for rank in ("worker:0", "chief:0", "worker:7", "ps:1", "child/ps:3/9", "pid:7")]
    assert parts == ["the chief", "the chief", "a worker", "a server", "a server", ""]
    blamed = Diagnosis("peer-startup", "", (), (), True, (Culprit("ps:3", 1, "h", 0.9, ""),))
    replayed = Hang("peer-startup", ("the chief",), False)
    assert differences(hang_of(blamed), hang_of(blamed), ("a server",)) == ()
    said = differences(hang_of(blamed), replayed, ("a server",))
    assert said == ("the job is held up by a server, the program by the chief",)


def test_the_command_tells_the_scenario_and_runs_nothing_with_no_run() -> None:
    done = CliRunner().invoke(app, ["replay", str(BUNDLES / "sync-starved.tar.zst"), "--no-run", "--json"])
    said = json.loads(done.stdout)
    assert done.exit_code == 0
    assert said["command"][:3] == ["lastbatch", "run", "sync-starved"]
    assert said["job"]["culprits"] == ["a worker"] and said["replayed"] is None
