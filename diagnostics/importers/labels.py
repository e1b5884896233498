"""A number before every line of a text: a rank's, put there by a launcher, or the line's own. Pure.

A few lines of that form are nothing but a list: a label is one that hardly any line lacks.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import NamedTuple

FEWEST = 3
_HARDLY_ANY = 0.1


class Label(NamedTuple):
    """`pattern` matches it, with the number as its group; `is_rank`: it says who speaks."""

    pattern: re.Pattern[str]
    is_rank: bool


_FORMS = (
    re.compile(r" {0,4}(\d+): ?"),  # srun --label
    re.compile(r"\[(\d{1,6})\] "),  # mpiexec -prepend-rank of MPICH and Intel MPI; also an editor's numbers
    re.compile(r" {0,6}(\d{1,7})(?: |$)"),  # only an editor's numbers
)


def labels_of(lines: Sequence[str]) -> Label | None:
    """What stands before every line of the text, None for nothing."""
    said = [line for line in lines if line.strip()]
    if len(said) < FEWEST:
        return None
    for pattern in _FORMS:
        numbers = [int(match[1]) for line in said if (match := pattern.match(line))]
        if len(said) - len(numbers) > max(_HARDLY_ANY * len(said), len(numbers) > FEWEST):
            continue
        if _number_lines(numbers):
            if pattern is _FORMS[-1] and not _count_lines(numbers):
                continue  # a column of numbers, as of processes
            return Label(pattern, is_rank=False)
        if pattern is not _FORMS[-1]:
            return Label(pattern, is_rank=True)
    return None


def _count_lines(numbers: Sequence[int]) -> bool:
    """Whether most are one more than the number before: some lines may have been left out of the paste."""
    steps = [after - before for before, after in itertools.pairwise(numbers)]
    return sum(step == 1 for step in steps) > len(steps) / 2


def _number_lines(numbers: Sequence[int]) -> bool:
    """Whether they only grow: an editor's or grep's, and no ranks, of which there is a first one, 0."""
    return numbers[0] > 0 and all(after > before for before, after in itertools.pairwise(numbers))
