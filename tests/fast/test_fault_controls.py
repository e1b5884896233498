"""A fault asks the cluster for the one control that it says it needs, and a place that lacks it is told beforehand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from diagnostics.errors import LastbatchError, UsageError
from repro import faults
from repro.cluster import LACKS, Cluster, Control, RankSpec
from repro.faults import schedule
from repro.faults.base import Fault

CONTROLS = {
    "signal": Control.SIGNAL,
    "pause": Control.PAUSE,
    "resume": Control.PAUSE,
    "limit_cpu": Control.CPU,
    "exhaust_memory": Control.MEMORY,
    "degrade_link": Control.LINK,
    "restore_link": Control.LINK,
    "cut_off": Control.CUT_OFF,
    "reconnect": Control.CUT_OFF,
    "stall": Control.DISK,
    "answer": Control.DISK,
}
RANKS = ("worker:0", "worker:1", "ps:1")


class Asked(Cluster):
    """Notes what it is asked for, instead of doing it."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        for name in CONTROLS:
            setattr(self, name, self._noting(name))
        self.disks = dict.fromkeys(RANKS, self)  # type: ignore[arg-type]

    def _noting(self, name: str) -> Callable[..., None]:
        return lambda *_: self.calls.append(name)


@pytest.mark.parametrize("kind", faults.load().values(), ids=faults.load())
def test_a_fault_asks_for_the_control_that_it_needs_and_no_other(kind: type[Fault]) -> None:
    fault, cluster = schedule.parse(kind.example).fault, Asked()
    fault.strike(cluster)
    struck = len(cluster.calls)
    fault.heal(cluster)
    assert {CONTROLS[call] for call in cluster.calls} <= {kind.needs}
    prepared = [fault.prepared(spec(rank), Path("/trial")) != spec(rank) for rank in fault.ranks]
    assert struck or all(prepared), "it changes nothing"
    assert (len(cluster.calls) > struck) == kind.heals


def spec(rank: str, **settings: Any) -> RankSpec:
    return RankSpec(rank, "program", "arm", settings)


@pytest.mark.parametrize("kind", faults.load().values(), ids=faults.load())
def test_a_place_without_the_control_says_why_and_names_one_that_has_it(kind: type[Fault]) -> None:
    one = schedule.parse(kind.example)
    schedule.check([one], "docker", RANKS)
    why_not = LACKS["local"].get(kind.needs)
    if why_not is None:
        schedule.check([one], "local", RANKS)
        return
    with pytest.raises(UsageError, match=why_not) as caught:
        schedule.check([one], "local", RANKS)
    assert "--backend docker" in str(caught.value.hint)


def test_a_cluster_that_lacks_a_control_refuses() -> None:
    with pytest.raises(LastbatchError, match="no control of cpu"):
        Cluster().limit_cpu("ps:0", 0.5)
