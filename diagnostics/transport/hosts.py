"""The way to a job on other hosts: collect there, and put the evidence of all hosts together here."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from diagnostics.errors import EvidenceError
from diagnostics.model import Collection, Process, Record
from diagnostics.transport import program
from diagnostics.transport.answers import Answer, decode, process_of, with_stacks
from diagnostics.transport.command import Said, run_on
from diagnostics.transport.options import Options, Target, asked_of
from diagnostics.transport.peers import name_peers
from diagnostics.transport.reach import Progress, events_of, silent
from diagnostics.version import release

SHARE = 0.6
"""Of a visit, for the source that is asked; the rest is for the way there."""


class Fleet(Record, frozen=True):
    """Hosts and how to get there. `deadline` is in seconds, for each visit to a host.

    `down`: (host, why) of those of which it is known that they cannot be reached.
    """

    hosts: tuple[str, ...]
    via: str
    deadline: float = 60.0
    down: tuple[tuple[str, str], ...] = ()


class OnHost(Record, frozen=True):
    """What of the job is on one host, or why nothing is known of it. `machine`: its architecture; "": no Python."""

    host: str
    machine: str = ""
    members: tuple[Target, ...] = ()
    expected: tuple[str, ...] = ()
    addresses: tuple[tuple[str, str], ...] = ()
    why_not: str = ""


class There(Record, frozen=True):
    """The way to processes of a job on other hosts."""

    fleet: Fleet
    hosts: tuple[OnHost, ...]

    def collect(self, options: Options, progress: Progress = silent) -> Collection:
        """The evidence of all hosts as one collection.

        `options` are as for this machine; pystack and eu-stack are there only if the host has them. Every host that was
        asked is in the result: one that did not answer in time, or where nothing matched, as a process without evidence
        whose `why_not` says so.
        """
        return self._collect(["observe", "stacks"], options, progress)

    def observe(self, options: Options) -> Collection:
        """All evidence for which nobody is stopped."""
        return self._collect(["observe"], options)

    def add_stacks(self, collection: Collection, options: Options) -> Collection:
        """The collection that was observed, with the stacks of all its processes."""
        began, seen = time.monotonic(), {one.host: list[Process]() for one in self.hosts}
        for process in collection.processes:
            if process.pid:
                seen[process.host].append(process)
        deadline = self.fleet.deadline
        orders = {
            one: {**_order(["stacks"], _targets(one, there), options, deadline), "events": events_of(there)}
            for one in self.hosts if (there := seen[one.host])
        }
        answers = {host: answer_of(said)[0] for host, said in self._run(orders).items()}
        return msgspec.structs.replace(
            collection,
            seconds=round(collection.seconds + time.monotonic() - began, 3),
            processes=tuple(
                with_stacks(process, answer) if (answer := answers.get(process.host)) else process
                for process in collection.processes
            ),
        )

    def _collect(self, do: Sequence[str], options: Options, progress: Progress = silent) -> Collection:
        began, wall = time.monotonic(), time.time()
        reached = [one for one in self.hosts if not one.why_not]
        progress(f"collecting on {len(reached)} of {len(self.hosts)} hosts")
        deadline = self.fleet.deadline
        orders = {one: _order(do, one.members, options, deadline) for one in reached}
        said = self._run(orders)
        answers = {
            one.host: answer_of(said[one.host]) if one.host in said else (None, one.why_not) for one in self.hosts
        }
        addresses = {rank: address for one in self.hosts for rank, address in one.addresses}
        told = [(host, answer) for host, (answer, _) in answers.items() if answer]
        return Collection(
            collected_at=wall,
            seconds=round(time.monotonic() - began, 3),
            processes=name_peers([p for one in self.hosts for p in _processes(one, *answers[one.host], addresses)]),
            expected=tuple(dict.fromkeys(rank for one in self.hosts for rank in one.expected)),
            tool_version=release(),
            devices=tuple(msgspec.structs.replace(device, host=host) for host, a in told for device in a.devices),
            kernel_log=tuple(msgspec.structs.replace(line, host=host) for host, a in told for line in a.kernel_log),
            left_out=tuple(f"{why} (on {host})" for host, a in told for why in a.left_out),
        )

    def visit(
        self, do: Sequence[str], processes: Sequence[Process], options: Options, **more: Any
    ) -> dict[str, Answer]:
        seen = {one.host: [p for p in processes if p.host == one.host and p.pid] for one in self.hosts}
        # Where there is only a shell, the first answer was all that it can give.
        able = [one for one in self.hosts if one.machine and seen[one.host]]
        deadline = self.fleet.deadline
        if "seconds" in more:
            more["seconds"] = min(more["seconds"], SHARE * deadline)
        orders = {one: {**_order(do, _targets(one, seen[one.host]), options, deadline), **more} for one in able}
        said = self._run(orders)
        answers = {host: answer_of(one)[0] for host, one in said.items()}
        return {host: answer for host, answer in answers.items() if answer}

    def _run(self, orders: Mapping[OnHost, Mapping[str, Any]]) -> dict[str, Said]:
        scripts = {one.host: program.script(order, one.machine) for one, order in orders.items()}
        return run_on(self.fleet.via, scripts, self.fleet.deadline)


def _order(do: Sequence[str], targets: Sequence[Target], options: Options, deadline: float) -> dict[str, Any]:
    return program.order(do, asked_of(targets), options, deadline)


def _targets(there: OnHost, processes: Sequence[Process]) -> list[Target]:
    known = {member.pid: member for member in there.members}
    return [known.get(process.pid) or Target(process.pid) for process in processes]


def answer_of(said: Said) -> tuple[Answer | None, str]:
    if said.why_not:
        return None, said.why_not
    try:
        return decode(said.output), ""
    except EvidenceError as error:
        return None, error.message


def _processes(there: OnHost, answer: Answer | None, why_not: str, addresses: Mapping[str, str]) -> list[Process]:
    if answer is None:
        # The cluster's own table may tell which ranks live there.
        ranks = [rank for rank, address in addresses.items() if address.rpartition(":")[0].strip("[]") == there.host]
        return [Process(rank, 0, there.host, why_not=why_not) for rank in ranks or [f"host/{there.host}"]]
    seen = [process_of(answer, member.pid, member.rank, there.host, member.address) for member in there.members]
    return [with_stacks(process, answer) for process in seen]
