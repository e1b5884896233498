"""What came of a trial."""

from __future__ import annotations

from pathlib import Path

import msgspec

from diagnostics.model import Collection, Diagnosis, Finding
from diagnostics.model.trace import TraceResult
from repro.scenario import Expected, Settings


class Outcome(msgspec.Struct, frozen=True):
    """How a trial ended.

    `verdict`: `hung`; `finished` (all epoch ends done); `time-limit` (still training when the time was up); `failed`
    (a rank ended that should not have). `silent`: when the time was up, a rank had just said nothing for a while, so
    nobody can tell whether it hung. `noticing` is the time from the last event to the decision, `collecting` from
    there to the diagnosis, both in seconds.
    """

    arm: str
    runtime: str
    settings: Settings
    verdict: str
    why: str
    epoch_ends: int
    seconds: float
    expected: Expected
    silent: bool = False
    finding: Finding | None = None
    bundle: Path | None = None
    report: Path | None = None
    noticing: float = 0.0
    collecting: float = 0.0
    collection: Collection | None = None
    diagnosis: Diagnosis | None = None
    trace: TraceResult | None = None
    counts: dict[str, dict[str, int]] = msgspec.field(default_factory=dict)  # what ranks counted, by rank

    @property
    def as_expected(self) -> bool:
        if self.expected.family:
            return self.finding is not None and self.finding.family == self.expected.family
        if self.verdict == "failed":
            return False
        if self.verdict != "hung":
            return not self.expected.hang or self.expected.either
        named = self.finding is not None and self.finding.cause == self.expected.cause
        return self.expected.hang and named
