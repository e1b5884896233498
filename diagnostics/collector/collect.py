"""All evidence of several processes at once. Every target gets a result or a reason; none can block the rest."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from diagnostics.collector import namespaces, procfs
from diagnostics.collector.sched import TaskClocks
from diagnostics.collector.sources import blocking_calls as asleep
from diagnostics.collector.sources import cgroup, mounts
from diagnostics.collector.sources import recorder as flight
from diagnostics.collector.sources.connections import Sockets, sockets_of
from diagnostics.collector.sources.interfaces import links_of
from diagnostics.collector.stacks.base import Rung
from diagnostics.collector.stacks.chain import climb, ladder
from diagnostics.collector.stacks.unwinders import Unwinders
from diagnostics.model import BlockingCall, Collection, Connection, Process, Record, Sample
from diagnostics.version import __version__

_ANYWHERE = ("0.0.0.0", "[::]", "127.0.0.1", "[::1]")


class Target(Record, frozen=True):
    """A process to look at. `recorder` and `log` are found by themselves where they are not given.

    `address` is where it serves, if that is known beforehand: its peers' connections tell of it even when it is gone.
    """

    pid: int
    rank: str = ""
    recorder: Path | None = None
    log: Path | None = None
    address: str = ""


class Options(Record, frozen=True):
    """How to collect. Times in seconds.

    `gap` lies between the two looks that say whether anything moves; `budget` is for each rung on each process;
    `rungs` names those to try, none for all.
    """

    gap: float = 1.0
    budget: float = 20.0
    rungs: tuple[str, ...] = ()


def _nothing(stage: str) -> None:
    pass


def resolve(target: Target) -> Target:
    """Fill in what the process itself tells: its recorder, its rank, its log."""
    mapped = mounts.answering(target.pid, procfs.mapped_files(target.pid, shared=True))
    recorder = target.recorder or flight.find(tuple(str(namespaces.path_of(target.pid, name)) for name in mapped))
    recording = flight.load(recorder, tail=0) if recorder else None
    rank = target.rank or (recording.rank if recording else "") or f"pid:{target.pid}"
    return Target(target.pid, rank, recorder, target.log or _log_of(target.pid), target.address)


def _log_of(pid: int) -> Path | None:
    streams = [path for path in procfs.standard_streams(pid) if path.startswith("/") and not path.startswith("/dev/")]
    return next((path for path in map(Path, mounts.answering(pid, streams)) if path.is_file()), None)


def _own_recorders(targets: Sequence[Target]) -> list[Target]:
    """A forked child still maps its parent's recorder, which says nothing of the child."""
    owners: dict[Path, int] = {}
    for target in sorted(targets, key=lambda target: target.rank.startswith("child/")):
        if target.recorder:
            owners.setdefault(target.recorder, target.pid)
    return [
        target
        if target.recorder is None or owners[target.recorder] == target.pid
        else msgspec.structs.replace(target, recorder=None)
        for target in targets
    ]


def look(targets: Sequence[Target]) -> dict[int, Sample]:
    """One look from outside at every target, taken as close together as can be."""
    links, clocks = sockets_of(target.pid for target in targets), TaskClocks()
    looks = {}
    for target in targets:
        recording = flight.load(target.recorder, tail=1) if target.recorder else None
        looks[target.pid] = procfs.look(
            target.pid,
            time.monotonic(),
            links[target.pid].bytes,
            target.log,
            step=recording.steps if recording else -1,
            events=recording.count if recording else -1,
            group=cgroup.look(target.pid),
            clocks=clocks,
            written=_written(target),
        )
    return looks


def _written(target: Target) -> list[Path]:
    """The files that it writes to on file systems that answer, and its log."""
    paths = mounts.answering(target.pid, procfs.written_files(target.pid))
    return [namespaces.path_of(target.pid, path) for path in paths] + ([target.log] if target.log else [])


def observe(targets: Sequence[Target], options: Options = Options(), expected: Sequence[str] = ()) -> Collection:
    """Everything that can be seen without stopping anybody: two looks, recorders, connections, logs, versions.

    Args:
        targets: processes of this machine.
        expected: ranks that the job should have; the report says which of them are missing.
    """
    began, wall = time.monotonic(), time.time()
    targets = _own_recorders([resolve(target) for target in targets])
    first = look(targets)
    time.sleep(options.gap)
    second = look(targets)
    links = sockets_of(target.pid for target in targets)
    sleeps = sleeps_of(links)
    seen = [
        msgspec.structs.replace(
            _seen(target, (first[target.pid], second[target.pid]), links[target.pid]), blocking_calls=sleeps[target.pid]
        )
        for target in targets
    ]
    return Collection(
        collected_at=wall,
        seconds=round(time.monotonic() - began, 3),
        processes=name_peers(seen),
        expected=tuple(expected),
        tool_version=__version__,
    )


def sleeps_of(sockets: Mapping[int, Sockets]) -> dict[int, tuple[BlockingCall, ...]]:
    """What the threads of these processes sleep in; nothing of a thread that runs."""
    ends = {inode: pair for links in sockets.values() for inode, pair in links.ends.items()}
    return {pid: tuple(BlockingCall(*row) for row in rows) for pid, rows in asleep.look_at(sockets, ends).items()}


def add_stacks(collection: Collection, options: Options = Options()) -> Collection:
    """The collection with the stacks of all its processes, taken within the cores there are."""
    began = time.monotonic()
    with Unwinders() as unwinders, ThreadPoolExecutor(max_workers=max(1, os.cpu_count() or 1)) as pool:
        rungs = [rung for rung in ladder(unwinders) if not options.rungs or rung.name in options.rungs]
        done = list(pool.map(lambda process: _with_stacks(process, options.budget, rungs), collection.processes))
    ends = [end for _, end in done]
    return msgspec.structs.replace(
        collection,
        seconds=round(collection.seconds + time.monotonic() - began, 3),
        processes=tuple(process for process, _ in done),
        skew=round(max(ends) - min(ends), 3) if ends else 0.0,
    )


def collect(
    targets: Sequence[Target],
    options: Options = Options(),
    expected: Sequence[str] = (),
    progress: Callable[[str], None] = _nothing,
) -> Collection:
    """Observe, then take the stacks. `progress` is told in words what is being done."""
    progress(f"looking at {len(targets)} processes twice, {options.gap:.0f} s apart")
    observed = observe(targets, options, expected)
    progress(f"taking the stacks of {len(targets)} processes")
    return look_again(add_stacks(observed, options), targets)


def look_again(collection: Collection, targets: Sequence[Target]) -> Collection:
    """With what the recorders hold now of ranks that said nothing between the two looks, and have gone on since.

    Stacks take a while. A rank whose pause ended meanwhile shows no reason for it in them, and did not hang.
    """
    recorders = {target.pid: target.recorder for target in _own_recorders([resolve(target) for target in targets])}

    def newest(process: Process) -> Process:
        before, path = process.flight, recorders.get(process.pid)
        if before is None or path is None or _has_recorded(process):
            return process
        now = flight.load(path)
        return msgspec.structs.replace(process, flight=now) if now and now.count > before.count else process

    return msgspec.structs.replace(collection, processes=tuple(map(newest, collection.processes)))


def _has_recorded(process: Process) -> bool:
    """Whether its recorder went on between the looks."""
    return len(process.samples) > 1 and process.samples[-1].events > process.samples[0].events


def _seen(target: Target, samples: tuple[Sample, ...], links: Sockets) -> Process:
    return Process(
        rank=target.rank,
        pid=target.pid,
        host=socket.gethostname(),
        command=procfs.command_of(target.pid),
        samples=samples,
        connections=links.connections,
        listens=links.listens or ((target.address,) if target.address else ()),
        flight=flight.load(target.recorder) if target.recorder else None,
        log_tail=procfs.tail(target.log),
        versions=procfs.versions_of(target.pid, mounts.answering(target.pid, procfs.mapped_files(target.pid))),
        interfaces=links_of(target.pid),
        parent=procfs.parent_of(target.pid),
        age=procfs.age_of(target.pid),
    )


def _with_stacks(process: Process, budget: float, rungs: Sequence[Rung]) -> tuple[Process, float]:
    """The process with its stacks, and when they had been taken (monotonic)."""
    climbed = climb(process.pid, budget, rungs)
    names = {sample.tid: sample.name for sample in process.samples[-1].threads} if process.samples else {}
    last = procfs.state_of(process.pid)
    with_stacks = msgspec.structs.replace(
        process,
        stacks_from=climbed.stacks_from,
        pause=climbed.pause,
        why_not=climbed.why_not,
        threads=tuple(
            thread if thread.name else msgspec.structs.replace(thread, name=names.get(thread.tid, ""))
            for thread in climbed.threads
        ),
        attempts=climbed.attempts,
        running_after=last in ("R", "S", "D") if last else None,
    )
    return with_stacks, time.monotonic()


def name_peers(processes: Sequence[Process]) -> tuple[Process, ...]:
    """Say of each connection, and of who waits on it, which of the processes has its other end."""
    serves = [(process, *address.rpartition(":")[::2]) for process in processes for address in process.listens]
    # These say nothing but the port, which is unique on one host only; an address is, everywhere.
    by_port = {(process.host, port): process.rank for process, host, port in serves if host in _ANYWHERE}
    by_address = {f"{host}:{port}": process.rank for process, host, port in serves if host not in _ANYWHERE}
    by_local = {link.local: process.rank for process in processes for link in process.connections}

    def named(process: Process, link: Connection) -> Connection:
        port = link.remote.rpartition(":")[2]
        peer = by_local.get(link.remote) or by_address.get(link.remote) or by_port.get((process.host, port), "")
        return msgspec.structs.replace(link, peer=peer)

    def with_peers(process: Process) -> Process:
        links = tuple(named(process, link) for link in process.connections)
        peers = {f"{link.local} -> {link.remote}": link.peer for link in links if link.peer}
        sleeps = tuple(
            msgspec.structs.replace(sleep, peer=peers[sleep.what]) if sleep.what in peers else sleep
            for sleep in process.blocking_calls
        )
        return msgspec.structs.replace(process, connections=links, blocking_calls=sleeps)

    return tuple(map(with_peers, processes))
