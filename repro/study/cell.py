"""What is tried: a cell is one setting of everything, and axes times levels make cells."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import msgspec

from diagnostics.errors import UsageError
from repro import runtimes, scenarios
from repro.cluster import LACKS
from repro.faults import schedule
from repro.scenario import Settings
from repro.study import stressors

CONTROL = "A/A"
"""Label of a second cell that is the baseline in everything but its name."""
NO_SETTINGS = ("arm", "runtime", "backend", "stress", "fault")
"""Axes that are no setting of the scenario. `stress` and `fault` take names joined by +, or none."""


class Cell(msgspec.Struct, frozen=True):
    """`settings` are as given, without the defaults; `stressors` are read by `stress`, `faults` by `repro.faults`."""

    label: str
    scenario: str
    arm: str
    runtime: str
    settings: dict[str, str] = {}
    stressors: tuple[str, ...] = ()
    backend: str = "local"
    faults: tuple[str, ...] = ()

    @property
    def resolved(self) -> Settings:
        """Raises: UsageError: a setting that the scenario does not have."""
        return scenarios.find(self.scenario).resolve(self.settings, self.arm)

    def changed(self, label: str, changes: Mapping[str, str]) -> Cell:
        """The cell with other levels on some axes.

        Raises:
            UsageError: no such arm, runtime, setting or stressor.
        """
        settings = {**self.settings, **{key: value for key, value in changes.items() if key not in NO_SETTINGS}}
        cell = msgspec.structs.replace(
            self,
            label=label,
            arm=changes.get("arm", self.arm),
            runtime=changes.get("runtime", self.runtime),
            backend=changes.get("backend", self.backend),
            settings=settings,
            stressors=_names(changes["stress"]) if "stress" in changes else self.stressors,
            faults=_names(changes["fault"].replace(";", ",")) if "fault" in changes else self.faults,
        )
        check(cell)
        return cell


def _names(level: str) -> tuple[str, ...]:
    return tuple(name for name in level.split("+") if name != "none")


def check(cell: Cell) -> None:
    """Raises: UsageError: the cell names something that is not there."""
    story = scenarios.find(cell.scenario)
    story.arm(cell.arm)
    runtimes.parse(cell.runtime)
    if cell.backend not in LACKS:
        raise UsageError(f"no backend {cell.backend!r}", f"There are {' and '.join(LACKS)}")
    for name in cell.stressors:
        stressors.parse(name)
    schedule.check([schedule.parse(fault) for fault in cell.faults], cell.backend, story.ranks(cell.resolved))


def parse_axes(words: Sequence[str]) -> dict[str, list[str]]:
    """`["ps=1,4", "arm=dataset,queue"]` as axes with their levels. Raises: UsageError: not of that form."""
    axes: dict[str, list[str]] = {}
    for word in words:
        name, equals, levels = word.partition("=")
        name = "arm" if name == "input" else name.replace("-", "_")
        values = list(dict.fromkeys(level for level in levels.split(",") if level))
        if not equals or not values:
            raise UsageError(f"--vary {word!r} is not AXIS=LEVEL,LEVEL", "For example --vary ps=1,4")
        if name in axes:
            raise UsageError(f"axis {name} is given twice", "Give all its levels at once, joined by commas")
        axes[name] = values
    return axes


def crossed(base: Cell, axes: Mapping[str, Sequence[str]]) -> list[Cell]:
    """Every combination of levels. The first, of each axis's first level, is the baseline."""
    combinations = [dict(zip(axes, levels, strict=True)) for levels in itertools.product(*axes.values())]
    return [
        base.changed(" ".join(f"{axis}={level}" for axis, level in changes.items()) or base.label, changes)
        for changes in combinations
    ]


def one_by_one(base: Cell, axes: Mapping[str, Sequence[str]]) -> list[Cell]:
    """The baseline, and for each level of each axis the baseline with only that changed; levels it has are left out."""
    baseline = msgspec.structs.replace(base, label="baseline")
    cells = [baseline]
    for axis, levels in axes.items():
        for level in levels:
            cell = base.changed(f"{axis}={level}", {axis: level})
            if not same(cell, baseline):
                cells.append(cell)
    return cells


def same(one: Cell, other: Cell) -> bool:
    """Whether two cells differ in nothing but how they are called."""

    def key(cell: Cell) -> tuple[object, ...]:
        release = runtimes.parse(cell.runtime).release
        return cell.scenario, cell.arm, release, cell.resolved, cell.stressors, cell.backend, cell.faults

    return key(one) == key(other)
