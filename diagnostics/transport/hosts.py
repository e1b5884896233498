"""Attach to a job that is on other hosts: find it there, collect there, and call the roll of all hosts here."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from diagnostics.discover.identity import KEYS
from diagnostics.discover.jobs import Member, find_jobs
from diagnostics.discover.selectors import choose
from diagnostics.errors import EvidenceError, LastbatchError
from diagnostics.model import Collection, Process, Record
from diagnostics.transport import program
from diagnostics.transport.answers import Answer, decode, process_of, seen_there, with_stacks
from diagnostics.transport.command import Said, run_on
from diagnostics.transport.options import Options
from diagnostics.transport.peers import name_peers
from diagnostics.version import __version__


class Fleet(Record, frozen=True):
    """Hosts and how to get there. `deadline` is in seconds, for each of the two visits to a host."""

    hosts: tuple[str, ...]
    via: str
    deadline: float = 60.0


class _There(Record, frozen=True):
    """What is on one host, or why nothing is known of it."""

    host: str
    machine: str = ""
    members: tuple[Member, ...] = ()
    expected: tuple[str, ...] = ()
    addresses: tuple[tuple[str, str], ...] = ()
    why_not: str = ""


def attach_hosts(
    fleet: Fleet,
    words: Sequence[str] = (),
    options: Options = Options(),
    progress: Callable[[str], None] = lambda stage: None,
    children: bool = True,
) -> Collection:
    """The evidence of a job on several hosts, as one collection.

    Args:
        words: selectors, as `lastbatch attach` takes them, applied on each host; none: the one job that is there.
        options: as for this machine; pystack and eu-stack are there only if the host has them.
        children: whether data loaders and other children of the targets are looked at as well.

    Every host that was asked is in the result: one that did not answer in time, or where nothing matched, as a process
    without evidence whose `why_not` says so.
    """
    began, wall = time.monotonic(), time.time()
    progress(f"looking for the job on {len(fleet.hosts)} hosts")
    scanned = run_on(fleet.via, {host: _scan_script(fleet) for host in fleet.hosts}, fleet.deadline)
    there = [_find(host, said, words, children) for host, said in scanned.items()]
    reached = [one for one in there if not one.why_not]
    progress(f"collecting on {len(reached)} of {len(fleet.hosts)} hosts")
    said = run_on(fleet.via, {one.host: _collect_script(fleet, one, options) for one in reached}, fleet.deadline)
    answers = {one.host: _answer(said[one.host]) if one.host in said else (None, one.why_not) for one in there}
    addresses = {rank: address for one in there for rank, address in one.addresses}
    told = [(host, answer) for host, (answer, _) in answers.items() if answer]
    return Collection(
        collected_at=wall,
        seconds=round(time.monotonic() - began, 3),
        processes=name_peers([p for one in there for p in _processes(one, *answers[one.host], addresses)]),
        expected=tuple(dict.fromkeys(rank for one in there for rank in one.expected)),
        tool_version=__version__,
        devices=tuple(msgspec.structs.replace(device, host=host) for host, a in told for device in a.devices),
        kernel_log=tuple(msgspec.structs.replace(line, host=host) for host, a in told for line in a.kernel_log),
        left_out=tuple(f"{why} (on {host})" for host, a in told for why in a.left_out),
    )


def _scan_script(fleet: Fleet) -> program.Script:
    return program.script({"do": ["scan"], "keys": list(KEYS), "deadline": fleet.deadline})


def _collect_script(fleet: Fleet, there: _There, options: Options) -> program.Script:
    targets = [{"pid": member.pid} for member in there.members]
    order = program.order(["observe", "stacks"], targets, options, fleet.deadline)
    return program.script(order, there.machine)


def _answer(said: Said) -> tuple[Answer | None, str]:
    if said.why_not:
        return None, said.why_not
    try:
        return decode(said.output), ""
    except EvidenceError as error:
        return None, error.message


def _find(host: str, said: Said, words: Sequence[str], children: bool) -> _There:
    answer, why_not = _answer(said)
    if answer is None:
        return _There(host, why_not=why_not)
    seen = seen_there(answer)
    jobs = find_jobs(seen)
    try:
        chosen = choose(words, seen, jobs, children)
    except LastbatchError as error:
        return _There(host, why_not=f"reached, but {error.message}")
    names = {job.id for job in chosen.jobs}
    identities = [one.identity for one in seen if one.identity and one.identity.job in names]
    addresses = tuple(dict.fromkeys(pair for identity in identities for pair in identity.addresses))
    return _There(host, answer.about.machine, chosen.members, chosen.expected, addresses)


def _processes(there: _There, answer: Answer | None, why_not: str, addresses: Mapping[str, str]) -> list[Process]:
    if answer is None:
        # The cluster's own table may tell which ranks live there.
        ranks = [rank for rank, address in addresses.items() if address.rpartition(":")[0].strip("[]") == there.host]
        return [Process(rank, 0, there.host, why_not=why_not) for rank in ranks or [f"host/{there.host}"]]
    seen = [process_of(answer, member.pid, member.rank, there.host) for member in there.members]
    return [with_stacks(process, answer) for process in seen]
