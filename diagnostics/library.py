"""Attach as a library call: what `lastbatch attach` does, without the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from diagnostics.analyze.diagnose import diagnose
from diagnostics.analyze.progress import Limits
from diagnostics.collect import Options, Target, collect
from diagnostics.discover.selectors import select
from diagnostics.model import Collection, Diagnosis
from diagnostics.trace.late import look_into_memory


class Attached(NamedTuple):
    """Evidence of every process, each with its state, and what it means."""

    collection: Collection
    diagnosis: Diagnosis


def attach(
    targets: Sequence[int | str] = (),
    options: Options = Options(),
    limits: Limits = Limits(),
    children: bool = True,
    progress: Callable[[str], None] = lambda stage: None,
) -> Attached:
    """Look at a job of this machine that is stuck now.

    Args:
        targets: process ids, or selectors as the command line takes them (`job:ID`, `port:2222`, `cmd:train.py`); none:
            the one job that there is.
        options: how to collect; times in seconds.
        limits: when silence becomes suspicious; times in seconds.
        children: whether data loaders and other children of the targets are looked at as well.
        progress: told in words what is being done.

    Every process gets a result or a reason (`Process.why_not`), whatever state it is in; `Process.pause` is for how
    many seconds it was stopped. Nothing is written anywhere.

    Raises:
        UsageError: a target names no process, or none is given and there are several jobs.
        MissingError: no target is given and no job is seen.
    """
    chosen = select([str(target) for target in targets], with_children=children)
    collection = collect(
        [Target(member.pid, member.rank) for member in chosen.members], options, chosen.expected, progress
    )
    return Attached(*diagnose(look_into_memory(collection), limits))
