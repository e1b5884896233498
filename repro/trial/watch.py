"""Looking at a running trial until it has come to an end, whichever that is, and its evidence while it is there."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

import msgspec

from diagnostics import pipeline
from diagnostics.analyze.job import judge_all
from diagnostics.analyze.progress import Limits, is_server, overdue_in, silence_of
from diagnostics.model import Collection, Process, State
from diagnostics.transport import Options, flight
from diagnostics.transport.answers import with_flight
from repro.cluster import Cluster
from repro.faults.schedule import Nemesis
from repro.trial.plan import Plan
from repro.trial.ranks import reach_of, recorder_of

POLL = 0.5
"""Seconds between two readings of the recorders: a twentieth of what noticing may take, 1 % of a core."""
HESITATION = 1.0
"""Seconds of silence in which a rank may be stuck already: the time limit waits for it to move, or to be judged."""


ENDS = ("error", "exit", "close")
"""What a rank records last that a hang has ended: that is no going on."""


class Observer(Protocol):
    """Told how a trial goes on."""

    def stage(self, words: str) -> None: ...

    def progress(self, epoch_ends: int, target: int, seconds: float) -> None: ...


class Ending(NamedTuple):
    verdict: str
    why: str
    observed: Collection | None = None
    silent: bool = False


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
    ahead = 0.0 if leave_in_peace else min(options.gap, plan.limits.floor / 4)
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
        left = min((overdue_in(recording, plan.limits) for recording in flights if recording), default=math.inf)
        if left < 0 and leave_in_peace:
            leave_in_peace()
        # Of two samples the first may be taken before that, as only the second decides; but not of a job in trouble.
        if left < ahead and not nemesis.is_healing():
            observed = reach_of(cluster, plan.ranks, plan.via).observe(options)
            hung = stands_still(observed, plan.limits)
            if hung and not nemesis.is_healing():
                return Ending("hung", hung[0].state_why, observed)
            if leave_in_peace:
                return Ending("time-limit", "went on when it was left in peace")
        silent = any(recording and silence_of(recording) > HESITATION for recording in flights)
        over = time.monotonic() - max(began, nemesis.struck_last) - plan.time_limit
        if over > 0 and (not silent or over > plan.limits.unknown_history):
            return Ending("time-limit", f"still training after {seconds:.0f} s", silent=silent)
        time.sleep(min(POLL, max(left - ahead, POLL / 10)))


def stands_still(collection: Collection, limits: Limits) -> list[Process]:
    """The ranks that hang, as far as this evidence tells."""
    return [process for process in judge_all(collection, limits).processes if process.state is State.HUNG]


def with_newer_flights(collection: Collection, cluster: Cluster) -> Collection:
    """With the recorders as they are now, of ranks that went on while evidence was collected: they did not hang."""
    files = {member.pid: recorder_of(member) for member in cluster.members}

    def newer(process: Process) -> Process:
        file = files.get(process.pid)
        recording = flight.load(file) if file else None
        ends = recording and recording.events and recording.events[-1].kind in ENDS
        return with_flight(process, recording) if recording and not ends else process

    return msgspec.structs.replace(collection, processes=tuple(map(newer, collection.processes)))


def collect(cluster: Cluster, ending: Ending, plan: Plan, observer: Observer, options: Options) -> Collection | None:
    """Evidence while it is there: of a hang, of what is left when a rank has ended, and of a job under a fault."""
    if ending.verdict == "finished" or (ending.verdict == "time-limit" and not plan.faults):
        return None
    observer.stage(f"{ending.verdict}: collecting from {len(cluster.members)} processes")
    reach = reach_of(cluster, plan.ranks, plan.via)
    observed = ending.observed or reach.observe(options)
    # Before the stacks, which take a while: a rank that ends meanwhile was alive in all the evidence there is.
    exits, starved = cluster.exits(), cluster.out_of_memory()
    collection = reach.add_stacks(observed, options)
    if not plan.probes:
        collection, _ = pipeline.enrich(collection, reach)
    if ending.verdict == "hung":
        collection = with_newer_flights(collection, cluster)
    order = list(exits)

    def with_end(process: Process) -> Process:
        if process.rank not in exits:
            return process
        return msgspec.structs.replace(
            process, exit_status=exits[process.rank], exit_order=order.index(process.rank),
            out_of_memory=process.rank in starved, memory=starved.get(process.rank, process.memory),
        )  # fmt: skip

    return msgspec.structs.replace(collection, processes=tuple(map(with_end, collection.processes)))
