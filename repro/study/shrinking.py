"""The smallest setting that still hangs: axis after axis, the least value first, then by halving, until none gives.

Pure: the search is a generator of settings that takes back whether each hangs often enough; `standing` replays it with
what the trials so far say, so that a study goes on where it stopped.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence

import msgspec

from repro.study import evidence
from repro.study.rates import Count

FINE = 1.25
"""Where the smallest value that hangs and the largest that does not are within this factor, it is close enough."""

Setting = dict[str, int]


class Axis(msgspec.Struct, frozen=True):
    """A setting with the least value that makes sense, and the value that the search begins at."""

    name: str
    least: int
    start: int


class Asked(msgspec.Struct, frozen=True):
    """`worth` is the rate an epoch end below which a hang is too rare to work with; `error` the chance to be wrong
    about one setting; `most` the exposure after which a setting that is still open is given up."""

    worth: float = 1e-3
    error: float = 0.05
    most: int = 10_000


class Judged(msgspec.Struct, frozen=True):
    """`hangs` is None while it is open. `why` is one clause."""

    hangs: bool | None
    why: str


def judge(count: Count, asked: Asked) -> Judged:
    """Whether a setting hangs at least at the rate worth having."""
    limit = -math.log(asked.error)
    if count.exposure and evidence.against_at_most(count, asked.worth) >= limit:
        return Judged(True, f"{count.hits} hangs in {count.exposure} epoch ends")
    if count.exposure and evidence.against_at_least(count, asked.worth) >= limit:
        return Judged(False, f"{count.hits} hangs in {count.exposure} epoch ends: rarer than {asked.worth:g}")
    if count.exposure >= asked.most:
        return Judged(False, f"still open after {count.exposure} epoch ends ({count.hits} hangs)")
    return Judged(None, "open")


def search(axes: Sequence[Axis]) -> Generator[Setting, bool, Setting]:
    """Yields settings, takes back whether each hangs, returns the smallest that does. The first has to."""
    best = {axis.name: axis.start for axis in axes}
    if not (yield best):
        return best
    shrunk = True
    while shrunk:
        shrunk = False
        for axis in axes:
            low, candidate = axis.least, axis.least
            while low < best[axis.name] and (low == axis.least or best[axis.name] > FINE * (low - 1)):
                if (yield {**best, axis.name: candidate}):
                    best, shrunk = {**best, axis.name: candidate}, True
                else:
                    low = candidate + 1
                candidate = (low + best[axis.name] - 1) // 2 if low < best[axis.name] else low
                candidate = max(low, candidate)
    return best


class Standing(msgspec.Struct, frozen=True):
    """`next`: the setting to try, None when it is over. `steps`: all judged so far, in order. `best`: the smallest
    that hangs so far; None while not even the first is known to. `problem`: the first does not hang."""

    steps: tuple[tuple[Setting, Judged], ...]
    next: Setting | None = None
    best: Setting | None = None
    problem: str = ""


def standing(axes: Sequence[Axis], counts: Mapping[str, Count], asked: Asked) -> Standing:
    """Where the search stands, with the counts of each setting by its `label`."""
    steps: list[tuple[Setting, Judged]] = []
    best: Setting | None = None
    searching = search(axes)
    setting = next(searching)
    while True:
        judged = judge(counts.get(label(setting), Count()), asked)
        if judged.hangs is None:
            return Standing(tuple(steps), setting, best)
        steps.append((setting, judged))
        if judged.hangs:
            best = setting
        elif best is None:
            return Standing(tuple(steps), problem=f"the setting to begin with does not hang: {judged.why}")
        try:
            setting = searching.send(judged.hangs)
        except StopIteration:
            return Standing(tuple(steps), best=best)


def label(setting: Setting) -> str:
    return " ".join(f"{name}={value}" for name, value in setting.items())


def why_not_smaller(axes: Sequence[Axis], found: Standing) -> dict[str, str]:
    """Axis -> why the smallest setting has no smaller value there."""
    assert found.best is not None
    reasons = {}
    for axis in axes:
        value = found.best[axis.name]
        if value <= axis.least:
            reasons[axis.name] = "it cannot be smaller"
            continue
        tried = [
            (setting[axis.name], judged)
            for setting, judged in found.steps
            if not judged.hangs and setting[axis.name] < value
            and all(setting[other] == found.best[other] for other in setting if other != axis.name)
        ]  # fmt: skip
        largest = max(tried, key=lambda pair: pair[0])
        reasons[axis.name] = f"{axis.name}={largest[0]}: {largest[1].why}"
    return reasons
