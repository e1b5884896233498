"""What a scenario is: plain values. `repro.scenarios` holds them, one file each."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping

import msgspec

from diagnostics.errors import MissingError, UsageError
from repro import runtimes, workloads
from repro import setting as knobs
from repro.runtimes.names import Framework, release_numbers
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
    `culprit` is the rank that holds all up, "" where it is not one alone.
    """

    hang: bool
    cause: str = ""
    either: bool = False
    why: str = ""
    family: str = ""
    culprit: str = ""

    @property
    def truth(self) -> str:
        """The family that a verdict should have, `none` where nothing hangs."""
        from diagnostics import causes  # imported where it is used: `lastbatch scenarios` does without

        if not self.hang:
            return "none"
        return self.family or next(cause.family for cause in causes.load() if cause.id == self.cause)


Culprit = Callable[[str, Settings], str]
"""From an arm and its settings to the rank that holds all up; "" where it is not one alone."""


def nobody_alone(arm: str, settings: Settings) -> str:
    return ""


def rank(name: str) -> Culprit:
    return lambda arm, settings: name


def the_other_worker(arm: str, settings: Settings) -> str:
    """Where there are two, and the first waits."""
    return "worker:1" if settings["workers"] == 2 else ""


class Need(msgspec.Struct, frozen=True):
    """What a machine must have: a program by its name, or a file by its path; `how` to get it is one line."""

    what: str
    how: str

    def is_there(self) -> bool:
        return os.path.exists(self.what) if self.what.startswith("/") else shutil.which(self.what) is not None


class Scenario(msgspec.Struct, frozen=True):
    """A story with a known cause.

    `ranks(settings)` are the processes to start; `expected(arm, release, settings)` what should come of it, with the
    framework's release as numbers. `default_arms` run when no arm is named; those after the first get as many
    epoch ends as the first came to, so that they are compared at equal exposure.

    What a bench or test has to know of it besides:

    - `lookalike`: it is healthy, and stands still for seconds as if it hung;
    - `says_stuck`: a rank says `stuck` when what comes next does not come back (of a look-alike: not soon); false: it
      cannot know beforehand;
    - `told_in_log`: words that a rank's log has only some time after that, and that tell the cause;
    - `slow_to_judge`: arms that are called hung minutes later only, as nothing is known of how long they may take;
    - `needs`: what the machine must have besides the runtime.
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
    lookalike: bool = False
    says_stuck: bool = True
    told_in_log: str = ""
    slow_to_judge: tuple[str, ...] = ()
    needs: tuple[Need, ...] = ()

    @property
    def framework(self) -> Framework:
        """Of its default runtime."""
        return runtimes.parse(self.default_runtime).framework

    def require(self) -> None:
        """Raises: MissingError: this machine lacks what it needs."""
        for need in self.needs:
            if not need.is_there():
                raise MissingError(f"{self.name} needs {need.what}", need.how)

    def expect(self, arm: str, framework_version: str) -> Expected:
        """What should come of an arm with its own settings, on a release as a runtime has it: `1.12.0`."""
        return self.expected(arm, release_numbers(framework_version), self.resolve({}, arm))

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
