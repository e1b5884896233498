"""What causes ask of a collection, asked once and in one place. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property

from diagnostics.analyze.absent import Absent
from diagnostics.analyze.family import Parents, votes
from diagnostics.analyze.process_groups import Group
from diagnostics.analyze.progress import is_server
from diagnostics.analyze.relations import Relations
from diagnostics.analyze.waits import find_waits
from diagnostics.model import GONE, Collection, Evidence, Flight, Process, State, Wait
from diagnostics.model.rank import parse


class Facts:
    """Questions to a collection whose ranks have been judged."""

    def __init__(self, collection: Collection, relations: Relations | None = None) -> None:
        self.collection = collection
        self.processes = collection.processes
        self.relations = relations or Relations(collection)

    @cached_property
    def waits(self) -> tuple[Wait, ...]:
        """Who waits for whom."""
        return find_waits(self.collection, self.relations)

    @cached_property
    def parents(self) -> Parents:
        return Parents(self.processes)

    @cached_property
    def servers(self) -> tuple[Process, ...]:
        return tuple(process for process in self.processes if is_server(process.rank))

    @cached_property
    def hung(self) -> tuple[Process, ...]:
        return tuple(process for process in self.processes if process.state is State.HUNG)

    @cached_property
    def gone(self) -> tuple[Process, ...]:
        return tuple(p for p in self.processes if p.state in GONE and (p.state is not State.DEAD or p in self.dead))

    @cached_property
    def dead(self) -> tuple[Process, ...]:
        """Ranks that have ended unfinished, but for helpers of theirs: whoever waits for one hangs by itself."""
        dead = (process for process in self.processes if process.state is State.DEAD)
        return tuple(p for p in dead if not parse(p.rank).is_child or votes(p, self.processes))

    @cached_property
    def missing_ranks(self) -> tuple[str, ...]:
        seen = {process.rank for process in self.processes}
        return tuple(rank for rank in self.collection.expected if rank not in seen)

    @property
    def groups(self) -> tuple[Group, ...]:
        return self.relations.groups

    @property
    def absent(self) -> tuple[Absent, ...]:
        return self.relations.absent

    @cached_property
    def lost(self) -> tuple[Absent, ...]:
        """Those of them that were there once."""
        return tuple(one for one in self.absent if one.was_there)

    def release(self, framework: str) -> tuple[int, ...]:
        """The framework's release as numbers, () where no rank tells."""
        known = [p.versions.framework_version for p in self.processes if p.versions.framework == framework]
        numbers = (re.findall(r"\d+", version)[:3] for version in known)
        return next((tuple(map(int, parts)) for parts in numbers if parts), ())

    def expected_count(self, role: str) -> int:
        """How many ranks of a role the job has, as far as is known."""
        names = {*self.collection.expected, *(process.rank for process in self.processes)}
        return sum(parse(name).role == role for name in names)


def names(processes: Iterable[Process]) -> tuple[str, ...]:
    return tuple(process.rank for process in processes)


def input_end(flight: Flight | None) -> str:
    """How the recorder shows that the open step is the one in which the input ends; "" if it does not."""
    if flight is None or not any(span.kind == "step" for span in flight.open):
        return ""
    if flight.events and flight.events[-1].kind == "end_of_sequence":
        return "the end of sequence was raised, and the step has not ended"
    if flight.epoch_lengths and flight.step_in_epoch >= flight.epoch_lengths[-1]:
        batches = flight.epoch_lengths[-1]
        had = f"{batches} batch{'es' if batches != 1 else ''}"
        return (
            f"the open step is step {flight.step_in_epoch + 1} of epoch {flight.open[0].epoch}; "
            f"past epochs had {had}, so this step finds the input exhausted ({flight.epoch_ends} did before)"
        )
    return ""


def evidence(fact: str, source: str, ranks: Iterable[str] = ()) -> Evidence:
    return Evidence(fact, source, tuple(ranks))
