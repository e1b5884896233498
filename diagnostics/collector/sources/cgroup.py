"""What a process's control groups say of its limits: memory, CPU quota, freezer. Version 1 and 2 (man 7 cgroups)."""

import os
from typing import Dict, NamedTuple, Optional

from diagnostics.collector.kernel import Name, text_of
from diagnostics.collector.look import Fields, Look, plain

_ROOT = "/sys/fs/cgroup"
_UNLIMITED = 1 << 60  # version 1 says a number near 2**63


class Cgroup(NamedTuple):
    """As `diagnostics.model.Cgroup`, which tells what is what."""

    memory: int = -1
    memory_limit: int = -1
    oom_kills: int = -1
    cpus: float = -1.0
    periods: int = -1
    throttled: int = -1
    throttled_seconds: float = -1.0
    frozen: bool = False


def sample(look: Look) -> Fields:
    return {pid: {"cgroup": plain(group_of(pid))} for pid in look.pids}


def group_of(pid: int) -> Optional[Cgroup]:
    """None where the process is in no group but the root, or none can be read."""
    groups = _groups(pid)
    own = {name: path for name, path in groups.items() if path != "/"}
    if not own:
        return None
    if "" in own and os.path.exists(os.path.join(_ROOT, "cgroup.controllers")):
        return _version_2(os.path.join(_ROOT, own[""].lstrip("/")))
    return _version_1({name: os.path.join(_ROOT, name, path.lstrip("/")) for name, path in own.items()})


def _groups(pid: int) -> Dict[str, str]:
    """Controller -> path of the group; "" is version 2's."""
    found = {}
    for line in text_of("/proc/%d/cgroup" % pid).splitlines():
        _, controllers, path = line.split(":", 2)
        for name in controllers.split(","):
            found[name] = path
    return found


def _version_1(homes: Dict[str, Name]) -> Cgroup:
    def of(controller: str, name: str) -> str:
        return text_of(os.path.join(homes[controller], name)) if controller in homes else ""

    events, stat = _table(of("memory", "memory.oom_control")), _table(of("cpu", "cpu.stat"))
    quota, period = _number(of("cpu", "cpu.cfs_quota_us")), _number(of("cpu", "cpu.cfs_period_us"))
    waited = stat.get("throttled_time", -1)
    return Cgroup(
        memory=_number(of("memory", "memory.usage_in_bytes")),
        memory_limit=_limit(_number(of("memory", "memory.limit_in_bytes"))),
        oom_kills=events.get("oom_kill", -1),
        cpus=quota / period if quota > 0 and period > 0 else -1.0,
        periods=stat.get("nr_periods", -1),
        throttled=stat.get("nr_throttled", -1),
        throttled_seconds=waited / 1e9 if waited >= 0 else -1.0,
        frozen=of("freezer", "freezer.state").strip() in ("FROZEN", "FREEZING"),
    )


def _version_2(home: Name) -> Cgroup:
    events, stat = _table(text_of(os.path.join(home, "memory.events"))), _table(text_of(os.path.join(home, "cpu.stat")))
    quota, _, period = text_of(os.path.join(home, "cpu.max")).strip().partition(" ")
    waited = stat.get("throttled_usec", -1)
    return Cgroup(
        memory=_number(text_of(os.path.join(home, "memory.current"))),
        memory_limit=_limit(_number(text_of(os.path.join(home, "memory.max")))),
        oom_kills=events.get("oom_kill", -1),
        cpus=int(quota) / int(period) if quota.isdigit() and period.isdigit() else -1.0,
        periods=stat.get("nr_periods", -1),
        throttled=stat.get("nr_throttled", -1),
        throttled_seconds=waited / 1e6 if waited >= 0 else -1.0,
        frozen=_table(text_of(os.path.join(home, "cgroup.events"))).get("frozen", 0) == 1,
    )


def _table(text: str) -> Dict[str, int]:
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].lstrip("-").isdigit()}


def _number(text: str) -> int:
    text = text.strip()
    return int(text) if text.lstrip("-").isdigit() else -1


def _limit(number: int) -> int:
    return number if 0 <= number < _UNLIMITED else -1
