"""What a scenario is: plain values. `repro.scenarios` holds them, one file each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from diagnostics.errors import UsageError
from repro import setting as knobs
from repro import workloads
from repro.setting import Setting, Settings

__all__ = ["Arm", "Expected", "Scenario", "Setting", "Settings"]


class Arm(msgspec.Struct, frozen=True):
    """One variant of a scenario. `defaults` are settings, as they would be given, that this arm has of its own."""

    name: str
    summary: str
    defaults: Mapping[str, str] = msgspec.field(default_factory=dict)


class Expected(msgspec.Struct, frozen=True):
    """What a run should come to: a `verdict` of a trial, and the cause if it is `hung`.

    `either` means that both a hang of that cause and none are in keeping with what is known. `family`, where given, is
    all that is expected of the verdict: a fault is in force, and what becomes of the job is not known beforehand.
    """

    hang: bool
    cause: str = ""
    either: bool = False
    why: str = ""
    family: str = ""


class Scenario(msgspec.Struct, frozen=True):
    """A story with a known cause.

    `ranks(settings)` are the processes to start; `expected(arm, release, settings)` what should come of it, with the
    framework's release as numbers. `default_arms` run when no arm is named; those after the first get as many
    epoch ends as the first came to, so that they are compared at equal exposure.
    """

    name: str
    summary: str
    story: str
    program: str
    arms: tuple[Arm, ...]
    default_arms: tuple[str, ...]
    settings: tuple[Setting, ...]
    runtimes: tuple[str, ...]
    ranks: Callable[[Settings], tuple[str, ...]]
    expected: Callable[[str, tuple[int, ...], Settings], Expected]
    default_runtime: str = "tf1.12"

    def arm(self, name: str) -> Arm:
        """Raises: UsageError: there is no such arm."""
        for arm in self.arms:
            if arm.name == name:
                return arm
        names = ", ".join(arm.name for arm in self.arms)
        raise UsageError(f"scenario {self.name} has no arm {name!r}", f"Its arms: {names}")

    def resolve(self, given: Mapping[str, str], arm: str = "") -> Settings:
        """All settings of an arm, with those that were given; where there is a `model`, that workload's too.

        Raises:
            UsageError: an unknown setting, a value that it does not take, or values that do not go together.
        """
        given = {**(self.arm(arm).defaults if arm else {}), **given}
        resolved = knobs.resolve(f"scenario {self.name}", self.settings_with(given), given)
        workloads.check(resolved)
        return resolved

    def settings_with(self, given: Mapping[str, object]) -> tuple[Setting, ...]:
        """Those of the scenario, and of the `model` that is given, if there is one to choose."""
        settings = self.settings
        for model in (setting for setting in self.settings if setting.name == "model"):
            name = str(model.parse(str(given.get("model", model.default))))
            settings += workloads.WORKLOADS[name].settings if name in workloads.WORKLOADS else ()
        return settings

    @property
    def models(self) -> tuple[workloads.Workload, ...]:
        """What it can train that has settings of its own."""
        names = [name for setting in self.settings if setting.name == "model" for name in setting.choices]
        return tuple(workloads.WORKLOADS[name] for name in names if name in workloads.WORKLOADS)
