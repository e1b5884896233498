"""What one container of a Docker cluster may use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from diagnostics.errors import UsageError

MARGIN = 15
"""Percent that a limit by the plan is above it: so much the plan may be off by."""


class NodeLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one container may use; 0 and "" mean no limit.

    `cpus` is a quota: threads run for that share of the time, and TensorFlow does not see it. `cpuset` names cores:
    TensorFlow's default thread pools are as large as that. `memory` is in MiB, swap included; `plan`: what the
    plan says that the rank needs, and a margin.
    """

    cpus: float = 0.0
    memory: int | Literal["plan"] = 0
    cpuset: str = ""

    def memory_bytes(self, needed: int) -> int:
        """The limit of a rank that needs so many bytes; 0: none."""
        return needed * (100 + MARGIN) // 100 if self.memory == "plan" else self.memory << 20

    def host_config(self, needed: int = 0) -> dict[str, Any]:
        """As the engine takes it, for a rank that needs so many bytes by the plan."""
        config: dict[str, Any] = {}
        if self.cpus:
            config |= {"cpu_period": 100_000, "cpu_quota": int(self.cpus * 100_000)}
        if memory := self.memory_bytes(needed):
            config |= {"mem_limit": memory, "memswap_limit": memory}
        if self.cpuset:
            config["cpuset_cpus"] = self.cpuset
        return config


def parse_limits(words: Sequence[str]) -> NodeLimits:
    """`KEY=VALUE` words as limits. Raises: UsageError: an unknown limit or a value that it does not take."""
    given = {key: value for key, _, value in (word.partition("=") for word in words)}
    try:
        return msgspec.convert(given, NodeLimits, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"--limit {' '.join(words)}: {error}", "For example --limit cpus=0.5") from None
