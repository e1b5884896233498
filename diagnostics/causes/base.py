"""What a cause is made of: `Case` gathers observations for and against it, `Cause` says what a reader needs to
know.

Weights are natural log odds and add up, so a case needs several independent observations before it passes one half.
They stand in one table (`weights.py`); a cause names its observations and no number. What a match must not be
confused with is part of the cause, because a wrong name costs the user more than none.
"""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable, Iterable

import msgspec

from diagnostics.analyze.facts import Facts, evidence
from diagnostics.causes.weights import weight_of
from diagnostics.model import Evidence


class Case:
    """The observations for and against one cause, gathered while it looks at the facts."""

    def __init__(self, cause: str) -> None:
        """`cause`: whose weights in the table count. It begins with their `prior`."""
        self.cause = cause
        self.title = ""  # with the names of the ranks, where that says more than the cause's own
        self.evidence: list[Evidence] = []
        self.against: list[Evidence] = []
        self.missing: list[str] = []
        self.observations: list[str] = []
        """What was seen, as the table calls it: each once."""
        self._weights: dict[str, float] = {"prior": weight_of(cause, "prior").value}

    def saw(self, observation: str, fact: str, source: str, ranks: Iterable[str] = ()) -> None:
        """An observation of the table, in words, with where it was seen and on which ranks.

        It counts once, on however many ranks it is seen. Of observations that depend on each other ("nothing moved",
        "not scheduled", "hung") only the weightiest counts. Below zero it speaks against the cause.
        """
        weight = weight_of(self.cause, observation)
        if observation not in self.observations:
            self.observations.append(observation)
        key = weight.group or observation
        if abs(weight.value) >= abs(self._weights.get(key, 0.0)):
            self._weights[key] = weight.value
        (self.evidence if weight.value >= 0 else self.against).append(evidence(fact, source, ranks))

    def needs(self, what: str) -> None:
        """Evidence that would decide and is not there, as what to take next."""
        if what not in self.missing:
            self.missing.append(what)

    @property
    def log_odds(self) -> float:
        return sum(self._weights.values())

    @property
    def confidence(self) -> float:
        return 1 / (1 + math.exp(-self.log_odds))


def likeliest(cases: Iterable[Case | None]) -> Case | None:
    """Of several ranks or groups that may have the cause the one with the best case, None where none has one."""
    return max((case for case in cases if case), key=lambda case: case.log_odds, default=None)


class Remedy(msgspec.Struct, frozen=True):
    """What to do about a cause. `id` names it for those that try it (`lastbatch verify --remedy ID`).

    `only`: the framework or language whose means it names (`kinds.KINDS`); "" where it holds for all. `at`: operations
    in which a thread has to stand for it, `seen`: an observation that its case has to have; it comes first then.
    """

    id: str
    text: str
    only: str = ""
    at: tuple[str, ...] = ()
    seen: str = ""


class Cause(msgspec.Struct, frozen=True):
    """A known cause. `examine` returns None where there is nothing that even looks like it."""

    id: str
    family: str
    title: str
    examine: Callable[[Facts], Case | None]
    not_to_be_confused_with: str
    versions: str
    remedies: tuple[Remedy, ...]
    references: tuple[str, ...]
    scenario: str = ""
    search_for: tuple[str, ...] = ()  # significant lines of a stack or log
    only: str = ""  # the framework that alone can have it; "" for any

    @property
    def story(self) -> str:
        """What the cause's own file says first: how the hang comes about."""
        return inspect.cleandoc(sys.modules[self.examine.__module__].__doc__ or "")

    def remedy(self, id: str) -> Remedy:
        """Raises: KeyError: it has no such remedy."""
        for remedy in self.remedies:
            if remedy.id == id:
                return remedy
        raise KeyError(id)
