"""One run of one arm: up, run, watch, collect, down -> outcome."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from diagnostics import bundle, pipeline
from diagnostics.analyze.job import judge_all
from diagnostics.analyze.progress import Limits, is_overdue, is_server, silence_of
from diagnostics.collector import procfs
from diagnostics.discover.scan import descendants_of
from diagnostics.errors import LastbatchError, MissingError, UsageError
from diagnostics.frameworks.tensorflow1 import bpftrace, session, sets
from diagnostics.model import Collection, Diagnosis, Finding, Process, State
from diagnostics.model.rank import child
from diagnostics.model.trace import TraceResult
from diagnostics.transport import Options, Target, add_stacks, flight, observe
from repro.cluster import Cluster, Member, NodeOrder
from repro.cluster.backends import Backend, Local
from repro.faults import disk
from repro.faults.absent import Absent
from repro.faults.history import NAME, History
from repro.faults.schedule import Nemesis, Scheduled, check
from repro.faults.stall_disk import StallDisk
from repro.runtimes import Runtime
from repro.scenario import Expected, Scenario, Settings
from repro.workloads import memory_needed

POLL = 0.5
"""Seconds between two looks at the recorders: a twentieth of what noticing may take, 1 % of a core."""
ATTACHED = 1 << 20
"""Bytes of the end of each log that go into the bundle."""
HESITATION = 1.0
"""Seconds of silence in which a rank may be stuck already: the time limit waits for it to move, or to be judged."""
READY_LIMIT = 180.0
"""Seconds within which every rank has to say that it is ready; importing TensorFlow takes 2 to 20."""


class Plan(msgspec.Struct, frozen=True):
    """What to run. `directory` must not exist yet.

    `time_limit` is in seconds of training, counted anew from each fault: what it does takes its time, whenever it came.
    """

    scenario: Scenario
    arm: str
    runtime: Runtime
    settings: Settings
    time_limit: float
    directory: Path
    limits: Limits = Limits()
    backend: Backend = Local()
    probes: str = ""  # a probe set to run with it
    faults: tuple[Scheduled, ...] = ()

    @property
    def ranks(self) -> tuple[str, ...]:
        return self.scenario.ranks(self.settings)

    @property
    def target(self) -> int:
        """Epoch ends that the whole job is to come to."""
        trainers = sum(not is_server(rank) for rank in self.ranks)
        return int(self.settings["epoch_ends"]) * trainers

    @property
    def expected(self) -> Expected:
        release = tuple(int(part) for part in self.runtime.framework_version.split(".")[:3] if part.isdigit())
        lasting = [one.fault.family for one in self.faults if one.lasts is None]
        if lasting:
            return Expected(hang=True, family=lasting[0], why=f"{self.faults[0].written} is not healed")
        return self.scenario.expected(self.arm, release, self.settings)

    def described(self) -> dict[str, str]:
        """What the bundle says of how it came to be."""
        settings = {name: str(value).lower() for name, value in self.settings.items()}
        return {"scenario": self.scenario.name, "arm": self.arm, "runtime": self.runtime.name, **settings}

    def orders(self) -> list[NodeOrder]:
        """One for each rank; those that faults need to be different are."""
        absent = {one.fault.target for one in self.faults if isinstance(one.fault, Absent)}
        stalled = {one.fault.target for one in self.faults if isinstance(one.fault, StallDisk)}
        needed = memory_needed(self.settings, self.runtime.name)
        return [
            NodeOrder(
                rank, self.scenario.program, self.arm, self.settings, (rank in stalled and self.disk_of(rank)) or None,
                absent=rank in absent, memory_needed=needed.get(rank, 0),
            )
            for rank in self.scenario.ranks(self.settings)
        ]  # fmt: skip

    def disk_of(self, rank: str) -> Path:
        return self.directory.resolve() / "disks" / rank.replace(":", "-")


class Outcome(msgspec.Struct, frozen=True):
    """How a trial ended.

    `verdict`: `hung`; `finished` (all epoch ends done); `time-limit` (still training when the time was up); `failed`
    (a rank ended that should not have). `silent`: when the time was up, a rank had just said nothing for a while, so
    nobody can tell whether it hung. `noticing` is the time from the last event to the decision, `collecting` from
    there to the diagnosis, both in seconds.
    """

    arm: str
    runtime: str
    settings: Settings
    verdict: str
    why: str
    epoch_ends: int
    seconds: float
    expected: Expected
    silent: bool = False
    finding: Finding | None = None
    bundle: Path | None = None
    report: Path | None = None
    noticing: float = 0.0
    collecting: float = 0.0
    collection: Collection | None = None
    diagnosis: Diagnosis | None = None
    trace: TraceResult | None = None
    counts: dict[str, dict[str, int]] = msgspec.field(default_factory=dict)  # what ranks counted, by rank

    @property
    def as_expected(self) -> bool:
        if self.expected.family:
            return self.finding is not None and self.finding.family == self.expected.family
        if self.verdict == "failed":
            return False
        if self.verdict != "hung":
            return not self.expected.hang or self.expected.either
        named = self.finding is not None and self.finding.cause == self.expected.cause
        return self.expected.hang and named


class Observer(Protocol):
    """Told how a trial goes on."""

    def stage(self, words: str) -> None: ...

    def progress(self, epoch_ends: int, target: int, seconds: float) -> None: ...


class Ending(NamedTuple):
    verdict: str
    why: str
    observed: Collection | None = None
    silent: bool = False


Companion = Callable[[tuple[Member, ...]], AbstractContextManager[object]]
"""Accompanies a trial from when every rank is ready."""


def run_trial(
    plan: Plan,
    observer: Observer,
    options: Options = Options(),
    beside: Sequence[Companion] = (),
    disturb: Sequence[Companion] = (),
) -> Outcome:
    """Run one arm to its end, whichever that is; nothing that it started is left.

    Companions in `beside` only look on. Those in `disturb` make trouble, and end before any rank is judged: one that
    goes on when it is left in peace did not hang. Faults, which are what a job is to be judged under, are the plan's.

    Raises:
        LastbatchError: the ranks did not come up, or were killed from outside.
        UsageError, MissingError: the directory is there already, or cannot be made.
    """
    if plan.probes:
        bpftrace.check()
    orders = plan.orders()
    check(plan.faults, plan.backend.name, [order.rank for order in orders])
    try:
        plan.directory.mkdir(parents=True)
    except FileExistsError:
        raise UsageError(f"{plan.directory} is there already", "Name another directory with --out") from None
    except OSError as error:
        said = f"cannot make {plan.directory}: {error.strerror}"
        raise MissingError(said, "Name another directory with --out") from None
    history = History(plan.directory / NAME)
    disk.sweep()
    observer.stage(f"starting {len(orders)} ranks on {plan.runtime.name}")
    try:
        with ExitStack() as stack:
            disks = {order.rank: stack.enter_context(disk.mounted(order.data)) for order in orders if order.data}
            cluster = stack.enter_context(plan.backend.cluster(plan.runtime, orders, plan.directory))
            cluster.disks.update(disks)
            trace = stack.enter_context(_traced(plan, cluster))
            history.add("started", f"{len(cluster.members)} ranks")
            wait_until_ready(cluster)
            if trace:
                trace.wait_until_attached()
            for companion in beside:
                stack.enter_context(companion(cluster.members))
            trouble = stack.enter_context(ExitStack())
            for companion in disturb:
                trouble.enter_context(companion(cluster.members))
            observer.stage("training")
            history.add("ready")
            began = time.monotonic()
            nemesis = stack.enter_context(Nemesis(cluster, plan.faults, history))
            while True:
                ending = watch(cluster, plan, observer, options, began, nemesis, trouble.close if disturb else None)
                ended = time.monotonic()
                history.add(ending.verdict, ending.why)
                with nemesis.truce:
                    collection = _collect(cluster, ending, plan, observer, options)
                if ending.verdict != "hung" or (collection and stands_still(collection, plan.limits)):
                    break
                history.add("goes on", "its stacks say that what it waits for comes by itself")
                observer.stage("by its stacks it goes on by itself: training")
            done, counts = epoch_ends_of(cluster.members), counts_of(cluster.members)
            attachments = _attachments(cluster.members) if collection else {}
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
    collection = msgspec.structs.replace(
        collection, scenario=plan.described(), trace=outcome.trace or collection.trace
    )
    stem = plan.directory
    collection, diagnosis, written, why_not = pipeline.answer(
        collection, plan.limits, stem.with_name(stem.name + bundle.SUFFIX), attachments, live=False
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


def wait_until_ready(cluster: Cluster) -> None:
    """Until every rank has said so.

    Raises:
        LastbatchError: one ended instead, or took too long; with the end of its log.
    """
    deadline = time.monotonic() + READY_LIMIT
    while missing := [member for member in cluster.members if not member.said("ready")]:
        if ended := cluster.exits():  # also of one that was ready: the others may wait for it
            member = next(member for member in cluster.members if member.rank in ended)
            raise _not_up(member, f"ended with status {ended[member.rank]} before every rank was ready")
        if time.monotonic() > deadline:
            raise _not_up(missing[0], f"was not ready within {READY_LIMIT:.0f} s")
        time.sleep(0.05)


def _not_up(member: Member, why: str) -> LastbatchError:
    log = member.directory / "log"
    last = [line for line in procfs.tail(log) if line.strip()][-1:]
    return LastbatchError(f"{member.rank} {why}: {last[0] if last else 'it said nothing'}", f"See {log}")


def watch(
    cluster: Cluster,
    plan: Plan,
    observer: Observer,
    options: Options,
    began: float,
    nemesis: Nemesis,
    leave_in_peace: Callable[[], None] | None = None,
) -> Ending:
    """Look at the recorders until the job has finished, hangs, fails, or the time is up.

    `leave_in_peace` ends what disturbs the job, before it is judged.
    """
    trainers = [member for member in cluster.members if not is_server(member.rank)]
    while True:
        flights = [flight.load(recorder_of(member)) for member in trainers]
        seconds = time.monotonic() - began
        observer.progress(sum(f.epoch_ends for f in flights if f), plan.target, seconds)
        if all(member.said("done") for member in trainers):
            return Ending("finished", "every rank has done its work")
        leaving = {member.rank for member in trainers if member.said("done")}
        if ended := {rank: status for rank, status in cluster.exits().items() if status or rank not in leaving}:
            rank, status = next(iter(ended.items()))
            return Ending("failed", f"{rank} ended with {f'signal {-status}' if status < 0 else f'status {status}'}")
        overdue = any(recording and is_overdue(recording, plan.limits) for recording in flights)
        if overdue and leave_in_peace:
            leave_in_peace()
        if overdue and not nemesis.is_healing():
            observed = observe(targets_of(cluster), options, plan.ranks)
            hung = stands_still(observed, plan.limits)
            if hung and not nemesis.is_healing():
                return Ending("hung", hung[0].state_why, observed)
            if leave_in_peace:
                return Ending("time-limit", "went on when it was left in peace")
        silent = any(recording and silence_of(recording) > HESITATION for recording in flights)
        over = time.monotonic() - max(began, nemesis.struck_last) - plan.time_limit
        if over > 0 and (not silent or over > plan.limits.unknown_history):
            return Ending("time-limit", f"still training after {seconds:.0f} s", silent=silent)
        time.sleep(POLL)


def stands_still(collection: Collection, limits: Limits) -> list[Process]:
    """The ranks that hang, as far as this evidence tells."""
    return [process for process in judge_all(collection, limits).processes if process.state is State.HUNG]


def _collect(
    cluster: Cluster, ending: Ending, plan: Plan, observer: Observer, options: Options
) -> Collection | None:
    """Evidence while it is there: of a hang, of what is left when a rank has ended, and of a job under a fault."""
    if ending.verdict == "finished" or (ending.verdict == "time-limit" and not plan.faults):
        return None
    observer.stage(f"{ending.verdict}: collecting from {len(cluster.members)} processes")
    observed = ending.observed or observe(targets_of(cluster), options, plan.ranks)
    # Before the stacks, which take a while: a rank that ends meanwhile was alive in all the evidence there is.
    exits, starved = cluster.exits(), cluster.out_of_memory()
    collection = add_stacks(observed, options, targets_of(cluster))
    if not plan.probes:
        collection, _ = pipeline.enrich(collection)
    order = list(exits)

    def with_end(process: Process) -> Process:
        if process.rank not in exits:
            return process
        return msgspec.structs.replace(
            process, exit_status=exits[process.rank], exit_order=order.index(process.rank),
            out_of_memory=process.rank in starved, memory=starved.get(process.rank, process.memory),
        )  # fmt: skip

    return msgspec.structs.replace(collection, processes=tuple(map(with_end, collection.processes)))


def recorder_of(member: Member) -> Path:
    return member.directory / "flight.lbrec"


def targets_of(cluster: Cluster) -> list[Target]:
    """The ranks, and whatever they started: data loaders and other children can be what a rank waits for."""
    ranks = {member.pid: member.rank for member in cluster.members}
    return [
        Target(member.pid, member.rank, recorder_of(member), member.directory / "log", member.address)
        for member in cluster.members
    ] + [Target(pid, str(child(ranks[above], pid))) for pid, above in descendants_of(ranks).items()]


def epoch_ends_of(members: tuple[Member, ...]) -> int:
    flights = [flight.load(recorder_of(member), tail=1) for member in members]
    return sum(recording.epoch_ends for recording in flights if recording)


def counts_of(members: tuple[Member, ...]) -> dict[str, dict[str, int]]:
    """What ranks have told of what they counted."""
    found = {}
    for member in members:
        path = member.directory / "counts"
        if path.exists():
            found[member.rank] = msgspec.json.decode(path.read_bytes(), type=dict[str, int])
    return found


def _attachments(members: tuple[Member, ...]) -> dict[str, bundle.Attachment]:
    """The recorders and logs as they are."""
    found = {}
    readers: tuple[tuple[str, Callable[[Member], Path], bundle.Kind], ...] = (
        ("flight.lbrec", recorder_of, bundle.Kind.RECORDER),
        ("log", lambda member: member.directory / "log", bundle.Kind.TEXT),
    )
    for member in members:
        for name, path_of, kind in readers:
            data = procfs.tail_bytes(path_of(member), ATTACHED)
            if not data:
                continue
            found[bundle.member_name("ranks", member.rank, name)] = bundle.Attachment(data, kind)
    return found
