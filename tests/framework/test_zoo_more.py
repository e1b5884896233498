"""The zoo of one rank on TensorFlow: every stuck arm is named by its cause, no healthy one is called hung."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from conftest import Answer, Calls, chosen, lacking, wait_for

from diagnostics.collector import procfs
from diagnostics.discover.scan import descendants_of
from diagnostics.errors import MissingError
from repro import scenarios
from repro.cluster import Member, RankSpec
from repro.cluster.local import local_cluster
from repro.runtimes import Runtime
from repro.runtimes.names import release_numbers
from repro.scenario import Scenario
from repro.trial import wait_until_ready

Call = Callable[..., Answer]
Runtimes = Callable[[str], Runtime]


def is_ours(scenario: Scenario) -> bool:
    """On TensorFlow, of a fixed number of ranks, which says when it is stuck."""
    settings = {setting.name for setting in scenario.settings}
    return scenario.framework == "tensorflow" and scenario.says_stuck and "workers" not in settings


ZOO = [scenario for scenario in scenarios.load().values() if is_ours(scenario)]


def require(scenario: Scenario) -> None:
    try:
        scenario.require()
    except MissingError as error:
        lacking(error)


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest, calls: Calls, runtime: Runtimes) -> dict[str, Future[Answer]]:
    found = {}
    for given in chosen(request, test_every_arm_comes_to_what_is_known_of_it.__name__):
        scenario = given["scenario"]
        with suppress(pytest.skip.Exception):  # the test itself tells why
            require(scenario)
            runtime(scenario.default_runtime)
            found[scenario.name] = calls(scenario.name, ("run", scenario.name, "--json", "--out", "out"))
    return found


@pytest.mark.parametrize("scenario", ZOO, ids=lambda scenario: scenario.name)
def test_every_arm_comes_to_what_is_known_of_it(
    scenario: Scenario, runs: dict[str, Future[Answer]], runtime: Runtimes
) -> None:
    require(scenario)
    framework = runtime(scenario.default_runtime)
    answer = runs[scenario.name].result()
    assert answer.code == 0, answer.json
    for arm in answer.json["arms"]:
        expected = scenario.expected(arm["arm"], release_numbers(framework.framework_version), arm["settings"])
        if expected.family:
            assert arm["finding"]["family"] == expected.family
        else:
            assert (arm["verdict"] == "hung") == expected.hang
            assert not expected.hang or arm["finding"]["cause"] == expected.cause


@contextmanager
def stuck(scenario: str, arm: str, runtime: Runtime, directory: Path) -> Iterator[Member]:
    """The only rank of a scenario, without a recorder, when it says that what comes next does not come back."""
    story = scenarios.find(scenario)
    order = RankSpec("worker:0", story.program, arm, story.resolve({"recorder": "false"}, arm))
    with local_cluster(runtime, [order], directory) as cluster:
        wait_until_ready(cluster)
        (member,) = cluster.members
        wait_for(lambda: member.said("stuck"), 60)
        yield member


def test_a_native_process_is_named_by_its_pid_alone(lastbatch: Call, runtime: Runtimes, tmp_path: Path) -> None:
    """GIVEN a server in C whose reader waits for its queue, WHEN only its pid is known, THEN the queue is named."""
    require(scenarios.find("served-graph"))
    with stuck("served-graph", "reader", runtime("tf1.12"), tmp_path / "job") as trainer:
        (server,) = descendants_of({trainer.pid})
        assert not any("libpython" in path for path in procfs.mapped_files(server))
        wait_for(lambda: lastbatch("attach", server, "--json").json["verdict"] == "queue-not-started", 60)


def test_a_pause_of_tf_data_is_named_by_its_pid_alone(lastbatch: Call, runtime: Runtimes, tmp_path: Path) -> None:
    """GIVEN an epoch whose end waits for the autotuner, WHEN somebody attaches, THEN that is said; and it goes on."""
    with stuck("autotune-pause", "autotuner", runtime("tf2"), tmp_path / "job") as trainer:
        found = lastbatch("attach", trainer.pid, "--json").json
        assert (found["verdict"], found["findings"][0]["cause"]) == ("slow", "tf-data-autotune-pause")
        wait_for(lambda: trainer.said("done"), 60)
