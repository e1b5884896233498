"""The way from a stuck job to an answer, spelled out once.

    discover -> collect -> WRITE BUNDLE -> enrich -> classify -> judge -> wait graph -> culprits -> causes -> report

`attach` goes all the way; `explain` enters at classify, with what a bundle or another tool's dump holds. The bundle is
on disk before anything interprets what is in it. What fails after that costs only its own share of the answer, and is
named in `Diagnosis.errors`.

What explains the evidence is imported where it is used: `attach` must have begun to collect before that, and imports it
while it waits for the second sample.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from diagnostics.analyze.progress import Limits
from diagnostics.discover.hosts import look_for
from diagnostics.discover.selectors import Selection, select
from diagnostics.errors import LastbatchError
from diagnostics.model import Collection, Diagnosis, StageError
from diagnostics.transport import Fleet, Here, Options, Reach, Target, resample
from diagnostics.transport.reach import Progress, silent

if TYPE_CHECKING:
    from diagnostics import bundle


Written = tuple[Path | None, LastbatchError | None]
"""Where a bundle is, or why it is not."""


class Answer(NamedTuple):
    """Evidence of every process, each with its state, and what it means. `bundle` is None where none was to be written.

    `not_written`: why the bundle, or what came to be known after it was written, could not be written.
    """

    collection: Collection
    diagnosis: Diagnosis
    bundle: Path | None = None
    not_written: LastbatchError | None = None


def attach(
    targets: Sequence[int | str] = (),
    options: Options = Options(),
    limits: Limits = Limits(),
    children: bool = True,
    peers: bool = False,
    fleet: Fleet | None = None,
    out: Path | None = None,
    progress: Progress = silent,
    device: bool = False,
) -> Answer:
    """Look at a job that is stuck now.

    Args:
        targets: process ids, or selectors as the command line takes them (`job:ID`, `port:2222`, `cmd:train.py`); none:
            the one job that there is.
        options: how to collect; times in seconds.
        limits: when silence becomes suspicious; times in seconds.
        children: whether data loaders and other children of the targets are looked at as well.
        peers: whether unnamed processes that the job is connected to are looked at as well.
        fleet: other hosts to look at, instead of this one.
        out: where to write the bundle; None: nothing is written.
        progress: told in words what is being done.
        device: whether a debugger of the card is attached as well: it stops the job, and the card's work for it.

    Every process gets a result or a reason (`Process.why_not`), whatever state it is in; `Process.pause` is for how
    many seconds it was stopped.

    Raises:
        UsageError: a target names no process, or none is given and there are several jobs.
        MissingError: no target is given and no job is seen.
    """
    words = [str(target) for target in targets]
    reach = look_for(fleet, words, children, progress) if fleet else _here(select(words, children, peers))
    with warming_up():
        first = reach.collect(options, progress)
    written = _write(out, first, {})  # before anything interprets it, and so before it is decided whether to look on
    collection = sample_until_decided(first, reach, limits, options.resample, progress)
    if collection is not first:
        written = _write_again(written, out, collection, {})
    return answer(collection, limits, out, reach=reach, progress=progress, device=device, on_disk=written)


_LATER = ("analyze.diagnose", "discover.by_framework", "bundle", "report.terminal", "report.document")


@contextmanager
def warming_up() -> Iterator[None]:
    """What explains the evidence is read meanwhile: whoever collects, or waits for a hang, mostly waits."""
    reader = threading.Thread(target=_warm_up, daemon=True)
    reader.start()
    yield
    reader.join()


def _warm_up() -> None:
    with suppress(Exception):  # whoever needs it will meet it
        for name in _LATER:
            import_module(f"diagnostics.{name}")
        from diagnostics import causes, frameworks
        from diagnostics.stacks import symbols

        symbols.tables()
        causes.load()
        frameworks.load()


def _here(chosen: Selection) -> Here:
    return Here(tuple(Target(member.pid, member.rank) for member in chosen.members), tuple(chosen.expected))


_OFTEN = 4.0
"""Seconds between further samples, at most: a job that goes on is not waited for any longer than that."""


def sample_until_decided(
    collection: Collection, reach: Reach, limits: Limits, longest: float, progress: Progress = silent
) -> Collection:
    """With more samples, while ranks stand still and it is not told whether they hang, for `longest` seconds at most.

    Nobody is stopped for these. No more are taken of a pause that is known to end: it would be over before it is told.
    """
    from diagnostics.analyze.beside import undecided
    from diagnostics.analyze.clocks import loops_that_may_tell
    from diagnostics.analyze.job import judge_all
    from diagnostics.frameworks.asyncio.enrich import watch
    from diagnostics.stacks.position import classify_all

    began = time.monotonic()
    if explain(collection, limits)[1].verdict == "slow":
        return collection
    while (left := undecided(judge_all(classify_all(collection), limits), limits)) is not None:
        watched = time.monotonic() - began
        if watched + left > longest:
            break
        pause = min(left + 0.2, _OFTEN)
        progress(f"nothing moves; sampling for {left:.0f} s more, to tell a pause from a hang")
        time.sleep(pause)
        collection = with_another_sample(collection, reach)
    if longest < limits.stands:
        return collection
    loops = loops_that_may_tell(judge_all(classify_all(collection), limits))
    looked = watch(collection, loops, reach, limits.stands)
    return collection if looked is collection else with_another_sample(looked, reach)


def with_another_sample(collection: Collection, reach: Reach) -> Collection:
    newer, frames = resample(collection, reach)
    return msgspec.structs.replace(
        newer,
        processes=tuple(
            msgspec.structs.replace(process, later=frames.get((process.host, process.pid), ()))
            for process in newer.processes
        ),
    )


def answer(
    collection: Collection,
    limits: Limits = Limits(),
    out: Path | None = None,
    attachments: Mapping[str, str | bytes | bundle.Attachment] = {},
    reach: Reach | None = None,
    progress: Progress = silent,
    device: bool = False,
    on_disk: Written | None = None,
) -> Answer:
    """From what was collected to what it means, by way of the disk.

    Args:
        out: where to write the bundle; None: nothing is written.
        reach: the way to the processes, where they are still there, so that the state of their frameworks can be read.
        on_disk: what came of writing just this collection, where that is done.
    """
    written = on_disk or _write(out, collection, attachments)
    enriched, errors = collection, tuple[StageError, ...]()
    if reach:
        progress("reading the state of the framework")
        enriched, errors = enrich(collection, reach, device)
        if enriched is not collection:
            written = _write_again(written, out, enriched, attachments)
    progress("looking for the cause")
    collection, diagnosis = explain(enriched, limits)
    diagnosis = msgspec.structs.replace(diagnosis, errors=(*errors, *diagnosis.errors))
    return Answer(collection, diagnosis, *written)


def _write(
    out: Path | None, collection: Collection, attachments: Mapping[str, str | bytes | bundle.Attachment]
) -> Written:
    """The job may never hang like this again: where the disk refuses, the answer is still given."""
    from diagnostics import bundle

    if out is None:
        return None, None
    try:
        return bundle.write(out, collection, attachments), None
    except LastbatchError as error:
        return None, error


def _write_again(
    before: Written,
    out: Path | None,
    collection: Collection,
    attachments: Mapping[str, str | bytes | bundle.Attachment],
) -> Written:
    """With what is known by now. Where that cannot be written, what is on disk stays."""
    path, why_not = _write(out, collection, attachments)
    return path or before[0], why_not


def enrich(collection: Collection, reach: Reach, device: bool = False) -> tuple[Collection, tuple[StageError, ...]]:
    """With what the processes' own frameworks have in memory, and with what is on their cards where that is asked."""
    from diagnostics import frameworks

    errors = []
    for name, look in frameworks.enrichers({"device"} if device else ()):
        try:
            collection = look(collection, reach)
        except Exception as error:
            errors.append(StageError(f"state of {name}", f"{type(error).__name__}: {error}"))
    return collection, tuple(errors)


def explain(collection: Collection, limits: Limits = Limits()) -> tuple[Collection, Diagnosis]:
    """What a collection means: every rank's positions and state, who waits for whom, who holds all up, and why."""
    from diagnostics import causes
    from diagnostics.analyze.diagnose import diagnose
    from diagnostics.discover.by_framework import named_by_framework
    from diagnostics.stacks.position import classify_all

    return diagnose(classify_all(named_by_framework(collection)), causes.find_all, limits)
