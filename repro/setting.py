"""One knob: of a scenario or of a workload."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from diagnostics.errors import UsageError

Settings = dict[str, Any]

_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class Setting(msgspec.Struct, frozen=True):
    """`least` and `most` bound a number; a bool takes true or false; a word is one of `choices`."""

    name: str
    default: int | bool | str
    help: str
    least: int = 0
    most: int = 1 << 31
    choices: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """What it is, and its values where they are words."""
        return f"{self.help} ({', '.join(self.choices)})" if self.choices else self.help

    def parse(self, text: str) -> int | bool | str:
        """Raises: UsageError: not a value of this setting."""
        if self.choices:
            if text not in self.choices:
                raise UsageError(f"{self.name}={text} is not one of its values", f"It takes: {', '.join(self.choices)}")
            return text
        if isinstance(self.default, bool):
            if text.lower() not in _TRUTH:
                raise UsageError(f"{self.name}={text} is neither true nor false")
            return _TRUTH[text.lower()]
        try:
            value = int(text)
        except ValueError:
            raise UsageError(f"{self.name}={text} is not a whole number") from None
        if not self.least <= value <= self.most:
            raise UsageError(f"{self.name}={value} is out of range", f"It goes from {self.least} to {self.most}")
        return value


def resolve(owner: str, settings: Iterable[Setting], given: Mapping[str, str]) -> Settings:
    """All settings, with those that were given.

    Raises:
        UsageError: an unknown setting or a value that it does not take; `owner` is whose settings they are.
    """
    known = {setting.name: setting for setting in settings}
    for name in given:
        if name not in known:
            raise UsageError(f"{owner} has no setting {name!r}", f"It has: {', '.join(known)}")
    return {name: setting.parse(given[name]) if name in given else setting.default for name, setting in known.items()}


def parse_settings(pairs: Sequence[str]) -> dict[str, str]:
    """`KEY=VALUE` words as a dictionary. Raises: UsageError: one is not of that form."""
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(f"--set {pair!r} is not KEY=VALUE", "For example --set ps=2")
        found[key.replace("-", "_")] = value
    return found
