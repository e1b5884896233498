"""Whether a replayed hang is the job's: the same family, the same ranks to blame, the same circle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from diagnostics.model import Diagnosis
from diagnostics.model.rank import RankKind, parse


class Hang(NamedTuple):
    """What of a diagnosis a replay has to show again. `culprits`: their numbers in the job."""

    family: str
    culprits: tuple[int, ...]


ALIKE = (frozenset({"rank-elsewhere", "collective-mismatch"}),)
"""Families between which only the user's own code decides, of which a replay has stubs alone."""


def hang_of(diagnosis: Diagnosis, origin: Sequence[int] = ()) -> Hang:
    """`origin`: which rank of the job each rank of the diagnosis plays; () where it is the job itself."""
    numbers = [identity.index for one in diagnosis.culprits if (identity := parse(one.rank)).kind is RankKind.RANK]
    return Hang(diagnosis.verdict, tuple(sorted({origin[n] if n < len(origin) else n for n in numbers})))


def differences(job: Hang, replayed: Hang, kept: Sequence[int]) -> tuple[str, ...]:
    """What is not the same, in words; () where all is. `kept`: the job's ranks that were played."""
    found = []
    if job.family != replayed.family:
        found.append(f"the job is called {job.family}, the program {replayed.family}")
    wanted = tuple(rank for rank in job.culprits if rank in kept)
    if wanted and not set(replayed.culprits) & set(wanted):
        found.append(f"the job is held up by {_ranks(wanted)}, the program by {_ranks(replayed.culprits)}")
    return tuple(found)


def _ranks(numbers: Sequence[int]) -> str:
    if not numbers:
        return "nobody"
    return ("rank " if len(numbers) == 1 else "ranks ") + ", ".join(map(str, numbers))
