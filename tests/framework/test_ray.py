"""A study on three Ray nodes in one machine, one of which is killed in the middle of its trial."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import wait_for

from repro.runtimes import Runtime
from repro.study import comparison
from repro.study.cell import Cell
from repro.study.comparison import Question
from repro.study.runner import Pacing, run_study
from repro.study.store import Study, Trial

try:
    from ray.cluster_utils import Cluster

    from repro.study.ray_engine import RayEngine
except ImportError:
    if os.environ.get("CI"):
        raise
    pytest.skip("Ray is not installed (pip install 'lastbatch[ray]')", allow_module_level=True)


@pytest.fixture
def three_nodes() -> Iterator[Any]:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        yield cluster
    finally:
        cluster.shutdown()  # type: ignore[no-untyped-call]


def test_a_lost_node_costs_its_trials_only(runtime: Callable[[str], Runtime], three_nodes: Any, tmp_path: Path) -> None:
    """WHEN a node dies in the middle, THEN its trial is lost, the others count, and the study comes to its answer."""
    runtime("tf1.12")
    small = Cell("baseline", "last-batch", "dataset", "tf1.12", {"ps": "1", "variables": "5"})
    cells, question = {"baseline": small}, Question("below", 0.03, alpha=0.05)
    killed: list[Any] = []

    with Study.create(tmp_path / "s.sqlite", {}, []) as study:
        with RayEngine(1, three_nodes.address) as engine:
            assert engine.slots == 3

            def kill_one(trials: Sequence[Trial], running: int) -> None:
                if not killed and (node := next(filter(_trains, three_nodes.worker_nodes), None)):
                    killed.append(node)
                    three_nodes.remove_node(node, allow_graceful=False)
                    wait_for(lambda: engine.slots == 2)  # else the others may come to the answer before Ray knows

            over = run_study(
                study,
                lambda trials: comparison.next_cell(cells, trials, question, 1),
                engine,
                Pacing(slice=60),
                kill_one,
            )
            assert over and killed
        trials = study.trials()
        (row,) = comparison.assess(cells, trials, question)
    assert (row.answer, row.count.hits) == ("below", 0)
    lost = [trial for trial in trials if trial.state == "lost"]
    assert len(lost) == 1 and lost[0].result and "Died" in lost[0].result.why
    counted = [trial.result for trial in trials if trial.state == "ended" and trial.result]
    assert row.count.exposure == sum(result.epoch_ends for result in counted) > 0


def _trains(node: Any) -> bool:
    """Whether a trial of this very node has a worker that trains: a node is a tree of processes of this machine."""
    (raylet,) = node.all_processes["raylet"]
    for process in psutil.Process(raylet.process.pid).children(recursive=True):
        with suppress(psutil.Error):
            if (home := Path(process.cwd())).name == "worker-0" and (home / "ready").exists():
                return True
    return False
