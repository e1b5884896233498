"""What one container of a Docker cluster may use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from diagnostics.errors import UsageError


class NodeLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one container may use; 0 and "" mean no limit.

    `cpus` is a quota: threads run for that share of the time, and TensorFlow does not see it. `cpuset` names cores:
    TensorFlow's default thread pools are as large as that. `memory` is in MiB, swap included.
    """

    cpus: float = 0.0
    memory: int = 0
    cpuset: str = ""

    def host_config(self) -> dict[str, Any]:
        config: dict[str, Any] = {}
        if self.cpus:
            config |= {"cpu_period": 100_000, "cpu_quota": int(self.cpus * 100_000)}
        if self.memory:
            config |= {"mem_limit": self.memory << 20, "memswap_limit": self.memory << 20}
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
