"""Known causes, one file each with a `CAUSE` in it. A new file is found by itself.

A cause looks at the facts and makes a `Case`: what it saw, with how much each sight is worth. Weights are natural
log odds and add up, so a case needs several independent sights before it passes one half. What a match must not
be taken to mean is part of the cause, because a wrong name costs the user more than none.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Callable, Iterable

import msgspec

from diagnostics.analyze.facts import Facts
from diagnostics.model import Evidence, Finding


class Case:
    """The sights for and against one cause, gathered while it looks at the facts."""

    def __init__(self, prior: float) -> None:
        """`prior`: log odds of the cause when only what made it worth looking at is known."""
        self.log_odds = prior
        self.title = ""  # with the names of the ranks, where that says more than the cause's own
        self.evidence: list[Evidence] = []
        self.against: list[Evidence] = []
        self.missing: list[str] = []

    def supports(self, weight: float, sight: Evidence) -> None:
        self.log_odds += weight
        self.evidence.append(sight)

    def speaks_against(self, weight: float, sight: Evidence) -> None:
        self.log_odds -= weight
        self.against.append(sight)

    def lacks(self, what: str) -> None:
        """Evidence that would decide and is not there, as what to take next."""
        self.missing.append(what)

    @property
    def confidence(self) -> float:
        return 1 / (1 + math.exp(-self.log_odds))


def likeliest(cases: Iterable[Case | None]) -> Case | None:
    """Of several ranks or groups that may have the cause the one with the best case, None where none has one."""
    return max((case for case in cases if case), key=lambda case: case.log_odds, default=None)


class Cause(msgspec.Struct, frozen=True):
    """A known cause. `examine` returns None where there is nothing that even looks like it."""

    id: str
    family: str
    title: str
    examine: Callable[[Facts], Case | None]
    not_to_be_taken_for: str
    versions: str
    remedy: tuple[str, ...]
    references: tuple[str, ...]
    scenario: str = ""
    looks_like: tuple[str, ...] = ()  # telling lines of a stack or log, for those who search for them


def load() -> tuple[Cause, ...]:
    """All causes, in the order of their ids."""
    modules = [importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__)]
    return tuple(sorted((module.CAUSE for module in modules), key=lambda cause: cause.id))


def find_all(facts: Facts) -> tuple[Finding, ...]:
    """Every cause that has a case, best first."""
    cases = [(cause, case) for cause in load() if (case := cause.examine(facts))]
    found = [
        Finding(
            cause=cause.id,
            family=cause.family,
            confidence=round(case.confidence, 3),
            title=case.title or cause.title,
            evidence=tuple(case.evidence),
            against=tuple(case.against),
            missing=tuple(case.missing),
            remedy=cause.remedy,
            references=cause.references,
        )
        for cause, case in cases
    ]
    return tuple(sorted(found, key=lambda finding: (-finding.confidence, finding.cause)))
