"""What a scenario is: plain values. `repro.scenarios` holds them, one file each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from diagnostics.errors import UsageError

Settings = dict[str, Any]


class Setting(msgspec.Struct, frozen=True):
    """One knob of a scenario. `least` and `most` bound a number; a bool takes true or false."""

    name: str
    default: int | bool
    help: str
    least: int = 0
    most: int = 1 << 31

    def parse(self, text: str) -> int | bool:
        """Raises: UsageError: not a value of this setting."""
        if isinstance(self.default, bool):
            known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
            if text.lower() not in known:
                raise UsageError(f"{self.name}={text} is neither true nor false")
            return known[text.lower()]
        try:
            value = int(text)
        except ValueError:
            raise UsageError(f"{self.name}={text} is not a whole number") from None
        if not self.least <= value <= self.most:
            raise UsageError(f"{self.name}={value} is out of range", f"It goes from {self.least} to {self.most}")
        return value


class Arm(msgspec.Struct, frozen=True):
    """One variant of a scenario."""

    name: str
    summary: str


class Expected(msgspec.Struct, frozen=True):
    """What a run should come to: a `verdict` of a trial, and the cause if it is `hung`.

    `either` means that both a hang of that cause and none are in keeping with what is known.
    """

    hang: bool
    cause: str = ""
    either: bool = False
    why: str = ""


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

    def arm(self, name: str) -> Arm:
        """Raises: UsageError: there is no such arm."""
        for arm in self.arms:
            if arm.name == name:
                return arm
        names = ", ".join(arm.name for arm in self.arms)
        raise UsageError(f"scenario {self.name} has no arm {name!r}", f"Its arms: {names}")

    def resolve(self, given: Mapping[str, str]) -> Settings:
        """All settings, with those that were given.

        Raises:
            UsageError: an unknown setting or a value that it does not take.
        """
        known = {setting.name: setting for setting in self.settings}
        for name in given:
            if name not in known:
                raise UsageError(f"scenario {self.name} has no setting {name!r}", f"It has: {', '.join(known)}")
        return {
            name: setting.parse(given[name]) if name in given else setting.default for name, setting in known.items()
        }
