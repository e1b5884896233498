"""The cluster that compose.yaml starts by hand is told what `lastbatch run` tells it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from repro import scenarios
from repro.cluster import NodeOrder
from repro.cluster.staging import stage

ORDERS = Path(__file__).parents[2] / "docker" / "orders.py"


def test_a_rank_of_the_compose_file_has_the_orders_of_a_trial(tmp_path: Path) -> None:
    story = scenarios.find("last-batch")
    settings = story.resolve({}, "dataset")
    ranks = story.ranks(settings)
    orders = [NodeOrder(rank, story.program, "dataset", settings) for rank in ranks]
    told = stage(tmp_path / "trial", "tf1.12", orders, {rank: f"{rank.replace(':', '-')}:2222" for rank in ranks})
    for rank in ranks:
        printed = subprocess.run([sys.executable, ORDERS, rank], capture_output=True, check=True).stdout
        home = told.homes[rank]
        meant = json.loads((home / "orders.json").read_text())
        assert json.loads(printed) == meant | {"directory": "/home/rank", "data": "/home/rank"}
