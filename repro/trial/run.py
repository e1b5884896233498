"""One run of one arm: up, run, watch, collect, down -> outcome."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager

import msgspec

from diagnostics import bundle, pipeline
from diagnostics.errors import MissingError, UsageError
from diagnostics.frameworks.tensorflow1 import bpftrace, session, sets
from diagnostics.model import Collection, State
from diagnostics.transport import Options, ready
from repro.cluster import Cluster, Member, disk
from repro.cluster.backends import Local
from repro.faults.history import NAME, History
from repro.faults.schedule import Nemesis, check
from repro.trial.outcome import Outcome
from repro.trial.plan import Plan
from repro.trial.ranks import attachments_of, counts_of, epoch_ends_of, wait_until_ready
from repro.trial.watch import Observer, collect, stands_still, watch

Alongside = Callable[[tuple[Member, ...]], AbstractContextManager[object]]
"""Entered when every rank is ready, and left before the trial ends."""


def run_trial(
    plan: Plan,
    observer: Observer,
    options: Options = Options(),
    meters: Sequence[Alongside] = (),
    stressors: Sequence[Alongside] = (),
) -> Outcome:
    """Run one arm to its end, whichever that is; nothing that it started is left.

    `meters` only look on. `stressors` make trouble, and end before any rank is judged: one that goes on when it is
    left in peace did not hang. Faults, which are what a job is to be judged under, are the plan's.

    Raises:
        LastbatchError: the ranks did not come up, or were killed from outside.
        UsageError, MissingError: the directory is there already, or cannot be made.
    """
    if plan.probes:
        bpftrace.check()
    specs = plan.specs()
    check(plan.faults, plan.backend.name, [spec.rank for spec in specs])
    try:
        plan.directory.mkdir(parents=True)
    except FileExistsError:
        raise UsageError(f"{plan.directory} is there already", "Name another directory with --out") from None
    except OSError as error:
        said = f"cannot make {plan.directory}: {error.strerror}"
        raise MissingError(said, "Name another directory with --out") from None
    history = History(plan.directory / NAME)
    disk.sweep()
    observer.stage(f"starting {len(specs)} ranks on {plan.runtime.name}")
    try:
        with ExitStack() as stack:
            disks = {spec.rank: stack.enter_context(disk.mounted(spec.data)) for spec in specs if spec.data}
            if not plan.via:
                stack.enter_context(ready(each=True))
            stack.enter_context(pipeline.warming_up())
            cluster = stack.enter_context(plan.backend.cluster(plan.runtime, specs, plan.directory))
            cluster.disks.update(disks)
            trace = stack.enter_context(_traced(plan, cluster))
            history.add("started", f"{len(cluster.members)} ranks")
            wait_until_ready(cluster)
            if trace:
                trace.wait_until_attached()
            for meter in meters:
                stack.enter_context(meter(cluster.members))
            trouble = stack.enter_context(ExitStack())
            for stressor in stressors:
                trouble.enter_context(stressor(cluster.members))
            observer.stage("training")
            history.add("ready")
            began = time.monotonic()
            nemesis = stack.enter_context(Nemesis(cluster, plan.faults, history))
            while True:
                ending = watch(cluster, plan, observer, options, began, nemesis, trouble.close if stressors else None)
                ended = time.monotonic()
                history.add(ending.verdict, ending.why)
                with nemesis.truce:
                    collection = collect(cluster, ending, plan, observer, options)
                if ending.verdict != "hung" or (collection and stands_still(collection, plan.limits)):
                    break
                history.add("goes on", "its stacks say that what it waits for comes by itself")
                observer.stage("by its stacks it goes on by itself: training")
            done, counts = epoch_ends_of(cluster.members), counts_of(cluster.members)
            attachments = attachments_of(cluster.members) if collection else {}
            traced = trace.finish() if trace else None
    finally:
        shutil.rmtree(plan.directory / "code", ignore_errors=True)
    outcome = Outcome(
        arm=plan.arm, runtime=plan.runtime.name, settings=plan.settings, verdict=ending.verdict, why=ending.why,
        epoch_ends=done, seconds=round(ended - began, 2), expected=plan.expected, trace=traced, silent=ending.silent,
        counts=counts,
    )  # fmt: skip
    return _explained(outcome, plan, collection, attachments, ended) if collection else outcome


def _explained(
    outcome: Outcome, plan: Plan, collection: Collection, attachments: dict[str, bundle.Attachment], ended: float
) -> Outcome:
    """The outcome with its diagnosis, and with bundle and report written."""
    collection = msgspec.structs.replace(collection, scenario=plan.described(), trace=outcome.trace or collection.trace)
    stem = plan.directory
    collection, diagnosis, written, why_not = pipeline.answer(
        collection, plan.limits, stem.with_name(stem.name + bundle.SUFFIX), attachments
    )
    if why_not:
        raise why_not
    collecting = time.monotonic() - ended
    report = stem.with_name(stem.name + ".html")
    from diagnostics.report.html import render_html  # its template engine is for those who get so far

    report.write_text(render_html(collection, diagnosis), "utf-8")
    named = diagnosis.findings[0] if diagnosis.findings and diagnosis.verdict != "unknown" else None
    silences = [p.flight.read_at - p.flight.events[-1].at for p in collection.processes
                if p.state is State.HUNG and p.flight and p.flight.events]  # fmt: skip
    return msgspec.structs.replace(
        outcome, finding=named, bundle=written, report=report, collection=collection, diagnosis=diagnosis,
        noticing=round(min(silences, default=0.0), 2), collecting=round(collecting, 2),
    )  # fmt: skip


@contextmanager
def _traced(plan: Plan, cluster: Cluster) -> Iterator[session.Session | None]:
    """Probes on the ranks from before they train: they are set while the ranks still import the framework."""
    if not plan.probes:
        yield None
        return
    probe_set = sets.find(plan.probes)
    if isinstance(plan.backend, Local):
        path = session.library_of(plan.runtime.python, probe_set)
    else:
        wait_until_ready(cluster)  # only then is the container's own file known
        path = session.find_library(cluster.members[0].pid, probe_set)
    chosen = session.plan(probe_set, path)
    with session.tracing(chosen, {member.pid: member.rank for member in cluster.members}) as running:
        yield running
