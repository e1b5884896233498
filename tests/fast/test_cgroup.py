"""Limits as the kernel writes them down, in both versions of control groups (man 7 cgroups)."""

from __future__ import annotations

import os
from pathlib import Path

from diagnostics.collector.sources import cgroup
from diagnostics.collector.sources.cgroup import Cgroup


def write(home: Path, **files: str) -> Path:
    home.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (home / name.replace("__", ".")).write_text(text)
    return home


def test_version_2(tmp_path: Path) -> None:
    home = write(
        tmp_path,
        memory__current="104857600\n",
        memory__max="max\n",
        memory__events="low 0\nhigh 0\nmax 7\noom 1\noom_kill 1\noom_group_kill 0\n",
        cpu__max="5000 100000\n",
        cpu__stat="usage_usec 900\nnr_periods 40\nnr_throttled 30\nthrottled_usec 2500000\n",
        cgroup__events="populated 1\nfrozen 1\n",
    )
    assert cgroup._version_2(home) == Cgroup(104857600, -1, 1, 0.05, 40, 30, 2.5, True)


def test_version_1(tmp_path: Path) -> None:
    memory = write(
        tmp_path / "memory",
        memory__usage_in_bytes="104857600\n",
        memory__limit_in_bytes="9223372036854771712\n",
        memory__oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
    )
    cpu = write(
        tmp_path / "cpu",
        cpu__cfs_quota_us="5000\n",
        cpu__cfs_period_us="100000\n",
        cpu__stat="nr_periods 40\nnr_throttled 30\nthrottled_time 2500000000\n",
    )
    freezer = write(tmp_path / "freezer", freezer__state="FROZEN\n")
    found = cgroup._version_1({"memory": memory, "cpu": cpu, "freezer": freezer})
    assert found == Cgroup(104857600, -1, 1, 0.05, 40, 30, 2.5, True)


def test_what_the_kernel_does_not_tell_is_said_to_be_unknown(tmp_path: Path) -> None:
    assert cgroup._version_2(tmp_path) == Cgroup()
    assert cgroup._version_1({}) == Cgroup()


def test_this_process_can_be_looked_at_and_is_not_frozen() -> None:
    found = cgroup.group_of(os.getpid())
    assert found is None or not found.frozen
    assert cgroup.group_of(2**22 + 1) is None
