"""The cluster that compose.yaml starts by hand is told what `lastbatch run` tells it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from repro import scenarios
from repro.cluster import RankSpec
from repro.cluster.staging import stage

PROGRAM = Path(__file__).parents[2] / "docker" / "rank_spec.py"


def test_a_rank_of_the_compose_file_has_the_spec_of_a_trial(tmp_path: Path) -> None:
    story = scenarios.find("last-batch")
    settings = story.resolve({}, "dataset")
    ranks = story.ranks(settings)
    specs = [RankSpec(rank, story.program, "dataset", settings) for rank in ranks]
    told = stage(tmp_path / "trial", "tf1.12", specs, {rank: f"{rank.replace(':', '-')}:2222" for rank in ranks})
    for rank in ranks:
        printed = subprocess.run([sys.executable, PROGRAM, rank], capture_output=True, check=True).stdout
        home = told.homes[rank]
        meant = json.loads((home / "spec.json").read_text())
        assert json.loads(printed) == meant | {"directory": "/home/rank", "data": "/home/rank"}
