"""The remedies in the causes' files, as something that can be tried: what each changes in a trial."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from diagnostics import causes
from diagnostics.errors import UsageError


class Remedy(msgspec.Struct, frozen=True):
    """`name` is the id of the cause's own remedy, or of one that is only said to help.

    `changes` are levels of axes as in `repro.study.cell`; `needs` are settings without which it changes nothing,
    so the baseline has them as well.
    """

    name: str
    cause: str
    changes: Mapping[str, str]
    needs: Mapping[str, str] = {}

    @property
    def line(self) -> str:
        """The remedy in the words of the cause's file; without one there, its own name."""
        (cause,) = (cause for cause in causes.load() if cause.id == self.cause)
        known = {remedy.id: remedy.text for remedy in cause.remedies}
        return known.get(self.name) or self.name.replace("-", " ")


_RACE = "tf-late-recv-after-abort"

REMEDIES = (
    Remedy("upgrade", _RACE, {"runtime": "tf2"}),
    Remedy("upgrade-1.13", _RACE, {"runtime": "tf1.13"}),
    Remedy("stop-by-count", _RACE, {"stop_by_count": "true"}),
    Remedy("one-server", _RACE, {"ps": "1"}),
    Remedy("one-inter-op-thread", _RACE, {"inter_op": "1"}),
    Remedy("drop-remainder", _RACE, {"drop_remainder": "true"}, needs={"remainder": "1", "rows": "2"}),
    Remedy("device-filters", _RACE, {"device_filters": "true"}),
)


def find(name: str) -> Remedy:
    """Raises: UsageError: there is no such remedy."""
    for remedy in REMEDIES:
        if remedy.name == name:
            return remedy
    raise UsageError(f"no remedy {name!r}", f"There are: {', '.join(remedy.name for remedy in REMEDIES)}")
