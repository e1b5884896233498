"""Known causes: a file has a `CAUSE` in it, or `CAUSES` where a table makes several. A new file is found by itself;
files without one help the others.

A cause reads positions, roles and the graph, and no function's name: those are `stacks/symbols/`. One that raises
costs only itself.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Container, Iterable

from diagnostics.analyze.facts import Facts
from diagnostics.causes.base import Case as Case
from diagnostics.causes.base import Cause as Cause
from diagnostics.causes.base import Remedy as Remedy
from diagnostics.causes.base import likeliest as likeliest
from diagnostics.causes.kinds import kinds_of
from diagnostics.model import Finding, StageError


@functools.cache
def load() -> tuple[Cause, ...]:
    """All causes, in the order of their ids."""
    modules = [importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__)]
    single = [module.CAUSE for module in modules if hasattr(module, "CAUSE")]
    several = [cause for module in modules for cause in getattr(module, "CAUSES", ())]
    return tuple(sorted((*single, *several), key=lambda cause: cause.id))


def find_all(facts: Facts, causes: Iterable[Cause] | None = None) -> tuple[tuple[Finding, ...], tuple[StageError, ...]]:
    """Every cause that has a case, best first, and the causes that failed on this evidence."""
    found: list[Finding] = []
    errors: list[StageError] = []
    kinds = kinds_of(facts.processes)
    for cause in load() if causes is None else causes:
        try:
            if _fits(cause, kinds) and (case := cause.examine(facts)):
                found.append(_finding(cause, case, facts, kinds))
        except Exception as error:
            errors.append(StageError(f"cause {cause.id}", f"{type(error).__name__}: {error}"))
    return tuple(sorted(found, key=lambda finding: (-finding.confidence, finding.cause))), tuple(errors)


def _fits(what: Cause | Remedy, kinds: Container[str]) -> bool:
    return not what.only or what.only in kinds


def _remedies(cause: Cause, case: Case, facts: Facts, kinds: Container[str]) -> tuple[str, ...]:
    """Those that fit the job; first those for where threads of its ranks stand, and for what else was seen."""
    ranks = {rank for one in case.evidence for rank in one.ranks}
    stands = {at.operation for process in facts.processes if process.rank in ranks for at in process.positions}
    fitting = [one for one in cause.remedies if _fits(one, kinds) and (not one.at or stands.intersection(one.at))]
    fitting = [one for one in fitting if not one.seen or one.seen in case.observations]
    return tuple(one.text for one in sorted(fitting, key=lambda one: not (one.at or one.seen)))


def _finding(cause: Cause, case: Case, facts: Facts, kinds: Container[str]) -> Finding:
    return Finding(
        cause=cause.id,
        family=cause.family,
        confidence=round(case.confidence, 3),
        title=case.title or cause.title,
        evidence=tuple(case.evidence),
        against=tuple(case.against),
        missing=tuple(case.missing),
        remedy=_remedies(cause, case, facts, kinds),
        references=cause.references,
    )
