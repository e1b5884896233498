"""The remedies in the causes' files, as something that can be tried: what each changes in a trial."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from diagnostics import causes
from diagnostics.errors import UsageError


class Remedy(msgspec.Struct, frozen=True):
    """`says` is a part of the line in the cause's file that it stands for, "" for one that is only said to help.

    `changes` are levels of axes as in `repro.experiment.cell`; `needs` are settings without which it changes nothing,
    so the baseline has them as well.
    """

    name: str
    cause: str
    changes: Mapping[str, str]
    says: str = ""
    needs: Mapping[str, str] = {}

    @property
    def line(self) -> str:
        """The remedy in the words of the cause's file; without one there, its own name."""
        if not self.says:
            return self.name.replace("-", " ")
        known = {cause.id: cause.remedy for cause in causes.load()}
        return next(line for line in known[self.cause] if self.says in line)


_RACE = "tf-late-recv-after-abort"

REMEDIES = (
    Remedy("upgrade", _RACE, {"runtime": "tf2"}, "Upgrade to TensorFlow 2.3"),
    Remedy("upgrade-1.13", _RACE, {"runtime": "tf1.13"}, "1.13 closes"),
    Remedy("stop-by-count", _RACE, {"stop_by_count": "true"}, "by a step count"),
    Remedy("one-server", _RACE, {"ps": "1"}, "one parameter server"),
    Remedy("one-inter-op-thread", _RACE, {"inter_op": "1"}, "inter_op_parallelism_threads=1"),
    Remedy("drop-remainder", _RACE, {"drop_remainder": "true"}, needs={"remainder": "1", "rows": "2"}),
    Remedy("device-filters", _RACE, {"device_filters": "true"}),
)


def find(name: str) -> Remedy:
    """Raises: UsageError: there is no such remedy."""
    for remedy in REMEDIES:
        if remedy.name == name:
            return remedy
    raise UsageError(f"no remedy {name!r}", f"There are: {', '.join(remedy.name for remedy in REMEDIES)}")
