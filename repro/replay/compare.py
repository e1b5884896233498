"""Whether a replayed hang is the job's: the same family, the same ranks to blame, the same circle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from diagnostics.model import Collection, Diagnosis
from diagnostics.model.rank import RankKind, parse
from repro.replay.plan import plan_of
from repro.replay.shrink import way_of


class Hang(NamedTuple):
    """What a replay has to show again. `cycle`: of ranks in collectives.

    `culprits`: their numbers in the job; where a scenario plays it, what part of the job they are.
    """

    family: str
    culprits: tuple[int, ...] | tuple[str, ...]
    cycle: bool


def hang_of(collection: Collection, diagnosis: Diagnosis, origin: Sequence[int] = ()) -> Hang:
    """How this job hangs. `origin`: which rank of the job each of these ranks plays; () where it is the job itself."""
    numbers = [identity.index for one in diagnosis.culprits if (identity := parse(one.rank)).kind is RankKind.RANK]
    culprits = {origin[number] if number < len(origin) else number for number in numbers}
    return Hang(diagnosis.verdict, tuple(sorted(culprits)), way_of(plan_of(collection)).cycle)


def differences(job: Hang, replayed: Hang, kept: Sequence[int] | Sequence[str]) -> tuple[str, ...]:
    """What is not the same, in words; () where all is. `kept`: the job's ranks that were played."""
    found = []
    if job.family != replayed.family:
        found.append(f"the job is called {job.family}, the program {replayed.family}")
    if job.cycle != replayed.cycle:
        found.append(
            "the job's ranks wait in a circle, the program's do not"
            if job.cycle
            else "the program's ranks wait in a circle, the job's do not"
        )
    wanted = tuple(rank for rank in job.culprits if rank in kept)
    if wanted and not set(replayed.culprits) & set(wanted):
        found.append(f"the job is held up by {_ranks(wanted)}, the program by {_ranks(replayed.culprits)}")
    return tuple(found)


def _ranks(numbers: Sequence[int | str]) -> str:
    if not numbers:
        return "nobody"
    if isinstance(numbers[0], str):
        return ", ".join(map(str, numbers))
    return ("rank " if len(numbers) == 1 else "ranks ") + ", ".join(map(str, numbers))
