"""What a trial is to run, as plain values."""

from __future__ import annotations

from pathlib import Path

import msgspec

from diagnostics.analyze.progress import Limits, is_server
from repro.cluster import RankSpec
from repro.cluster.backends import Backend, Local
from repro.faults.schedule import Scheduled
from repro.runtimes import Runtime
from repro.runtimes.names import release_numbers
from repro.scenario import Expected, Scenario, Settings
from repro.workloads import memory_needed


class Plan(msgspec.Struct, frozen=True):
    """What to run. `directory` must not exist yet.

    `time_limit` is in seconds of training, counted anew from each fault: what it does takes its time, whenever it came.
    `via` is a command through which the evidence is collected, as from another host (`lastbatch attach --via`).
    """

    scenario: Scenario
    arm: str
    runtime: Runtime
    settings: Settings
    time_limit: float
    directory: Path
    limits: Limits = Limits()
    backend: Backend = Local()
    probes: str = ""  # a probe set to run with it
    faults: tuple[Scheduled, ...] = ()
    via: str = ""

    @property
    def ranks(self) -> tuple[str, ...]:
        return self.scenario.ranks(self.settings)

    @property
    def target(self) -> int:
        """Epoch ends that the whole job is to come to."""
        trainers = sum(not is_server(rank) for rank in self.ranks)
        return int(self.settings["epoch_ends"]) * trainers

    @property
    def expected(self) -> Expected:
        lasting = [one.fault.family for one in self.faults if one.lasts is None]
        if lasting:
            return Expected(hang=True, family=lasting[0], why=f"{self.faults[0].written} is not healed")
        release = release_numbers(self.runtime.framework_version)
        return self.scenario.expected(self.arm, release, self.settings)

    def described(self) -> dict[str, str]:
        """What the bundle says of how it came to be."""
        settings = {name: str(value).lower() for name, value in self.settings.items()}
        return {"scenario": self.scenario.name, "arm": self.arm, "runtime": self.runtime.name, **settings}

    def specs(self) -> list[RankSpec]:
        """One for each rank, prepared for its faults."""
        needed = memory_needed(self.settings, self.runtime.name)
        specs = [
            RankSpec(rank, self.scenario.program, self.arm, self.settings, memory_needed=needed.get(rank, 0))
            for rank in self.ranks
        ]
        return list(map(self._prepared, specs))

    def _prepared(self, spec: RankSpec) -> RankSpec:
        for one in self.faults:
            if spec.rank in one.fault.ranks:
                spec = one.fault.prepared(spec, self.directory.resolve())
        return spec
