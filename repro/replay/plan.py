"""What each rank of a stuck job called, in order, and where it stands now: enough to hang the same way again."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from diagnostics.analyze.process_groups import numbered
from diagnostics.errors import MissingError
from diagnostics.model import Collection, Collective, Process, State, WaitKind
from diagnostics.model.rank import RankKind, parse
from diagnostics.stacks.position import main_position

HISTORY = 2
"""Collectives of a group that all have behind them and that are played all the same."""
LARGEST = 1024
"""Elements of a tensor, at most: a hang depends on sizes that differ, not on how large they are."""

MOST_PAIRS = 64
"""Sends and receives of a rank that are played, at most: the newest."""


class Stand(str, enum.Enum):
    """What a rank does after its last call."""

    COLLECTIVE = "waits in its last call"
    SLEEP = "sleeps"
    LOCK = "waits for a lock"
    NOTICE = "waits for a notification"
    READ = "reads what does not come"
    BUSY = "computes without end"
    EXIT = "has ended"
    JOIN = "waits for the others to join"


_STANDS = {
    WaitKind.TIME: Stand.SLEEP,
    WaitKind.LOCK: Stand.LOCK,
    WaitKind.CONDITION: Stand.NOTICE,
    WaitKind.JOIN: Stand.NOTICE,
    WaitKind.SOCKET: Stand.READ,
    WaitKind.PIPE: Stand.READ,
    WaitKind.FILE: Stand.READ,
    WaitKind.WORLD: Stand.READ,
    WaitKind.INPUT: Stand.READ,
    WaitKind.CHILD: Stand.READ,
    WaitKind.TERMINAL: Stand.READ,
    WaitKind.NOTHING: Stand.BUSY,
}


class Call(NamedTuple):
    """A collective or point-to-point operation of one rank. `number` is its sequence number in the group.

    `elements` of its tensor, scaled. `peer`: the partner's rank in the job, of a send or receive; -1: none. `returns`:
    whether it ended; one that did not and is not the last was issued without a wait.
    """

    group: str
    number: int
    op: str
    elements: int = 4
    peer: int = -1
    returns: bool = True


class RankPlan(NamedTuple):
    """What one rank does. `function` is where it stood, by name, for whoever reads the program."""

    rank: int
    calls: tuple[Call, ...]
    stand: Stand
    function: str = ""


class Plan(NamedTuple):
    """A job that hangs. `groups`: the members' ranks of each group, the group of all among them."""

    ranks: tuple[RankPlan, ...]
    groups: Mapping[str, tuple[int, ...]]
    guessed: tuple[str, ...] = ()  # what the evidence did not hold, in words

    @property
    def world(self) -> int:
        return len(self.ranks)

    @property
    def forms(self) -> bool:
        """Whether it hangs while the group of all is formed."""
        return any(one.stand is Stand.JOIN for one in self.ranks)

    @property
    def started(self) -> tuple[int, ...]:
        """The ranks that are started: who has not come to the group of all is no process."""
        return tuple(one.rank for one in self.ranks if not (self.forms and one.stand is Stand.EXIT))


_P2P = {"send": "send", "isend": "send", "recv": "recv", "irecv": "recv", "recv_anysource": "recv"}


class _Job(NamedTuple):
    """What the evidence tells of all ranks together.

    `passed`: number of a group's newest collective that all have behind them of whom that is known; 0: none. `known`:
    what was called under a number of a group, by anybody: for ranks of which only the number is known.
    """

    processes: Mapping[int, Process]
    groups: Mapping[str, tuple[int, ...]]
    passed: Mapping[str, int]
    known: Mapping[tuple[str, int], Collective]

    def first(self, group: str) -> int:
        """Number of the group's collective from which on it is played."""
        return max(1, self.passed.get(group, 0) - HISTORY + 1)


def plan_of(collection: Collection) -> Plan:
    """What the ranks of the collection did, as far as rings, dumps, logs and positions tell.

    Raises:
        MissingError: no rank's collectives are in it.
    """
    by_name = {process.rank: process for process in collection.processes}
    processes = {number: by_name[name] for number, name in numbered(collection.processes).items()}
    if not any(process.collectives or _joins(process) for process in processes.values()):
        raise MissingError(
            "no rank's collectives are in this evidence, so there is nothing to play again",
            "Attach to the job while it hangs (PyTorch 2.13 keeps them in memory), or give Flight Recorder dumps or "
            "watchdog logs",
        )
    groups, guessed = _groups(processes)
    known = {
        (call.group, call.seq): call for process in processes.values() for call in process.collectives if not call.p2p
    }
    job = _Job(processes, groups, {name: _passed(name, groups[name], processes, known) for name in groups}, known)
    formed = any(process.collectives for process in processes.values())  # whoever calls one has met all others
    ranks = [
        _rank_plan(rank, processes.get(rank), _calls(rank, job), formed)
        for rank in range(_world(processes, groups, collection.expected))
    ]
    if absent := [one.rank for one in ranks if one.rank not in processes]:
        guessed.append(f"Nothing is known of {_listed(absent)}: played as ended, or as never come.")
    called = {call.group for one in ranks for call in one.calls}
    return Plan(tuple(ranks), {name: groups[name] for name in groups if name in called}, tuple(guessed))


def _joins(process: Process) -> bool:
    main = main_position(process)
    return main is not None and main.waits is WaitKind.RENDEZVOUS


def _world(processes: Mapping[int, Process], groups: Mapping[str, tuple[int, ...]], expected: Sequence[str]) -> int:
    told = [group.size - 1 for process in processes.values() for group in process.groups]
    named = [identity.index for one in expected if (identity := parse(one)).kind is RankKind.RANK]
    return 1 + max([*processes, *told, *named, *(rank for members in groups.values() for rank in members)])


def _groups(processes: Mapping[int, Process]) -> tuple[dict[str, tuple[int, ...]], list[str]]:
    """The members of each group: as the ranks know them, else those that were seen to call it."""
    groups = {group.group: group.ranks for p in processes.values() for group in p.groups if group.ranks}
    sizes = {group.group: group.size for p in processes.values() for group in p.groups}
    called: dict[str, set[int]] = {}
    for rank, process in processes.items():
        for call in process.collectives:
            called.setdefault(call.group, set()).add(rank)
    guessed = []
    for name in [name for name in called if name not in groups]:
        members = called[name]
        if len(called) == 1 or name == "default_pg" or len(members) < 2:
            members = members | set(range(max(sizes.get(name, 0), 1 + max(processes))))
        groups[name] = tuple(sorted(members))
        guessed.append(f"The members of group {name or 'without a name'} are taken to be {_listed(groups[name])}.")
    return groups, guessed


def _listed(ranks: Sequence[int]) -> str:
    shown = ", ".join(map(str, ranks[:8])) + (f" and {len(ranks) - 8} more" if len(ranks) > 8 else "")
    return f"rank{'s' if len(ranks) > 1 else ''} {shown}"


def _passed(
    group: str, members: Sequence[int], processes: Mapping[int, Process], known: Mapping[tuple[str, int], Collective]
) -> int:
    done = [reached for rank in members if (reached := _reached(processes.get(rank), group)) >= 0]
    numbers = [number for name, number in known if name == group]
    return min(done, default=min(numbers, default=1) - 1)


def _reached(process: Process | None, group: str) -> int:
    """Number of the newest collective of the group that this rank has behind it; -1: not known."""
    if process is None:
        return -1
    told = [one.completed for one in process.groups if one.group == group and one.completed >= 0]
    calls = [call for call in process.collectives if call.group == group and not call.p2p]
    ended = [call.seq for call in calls if call.state == "completed"]
    before = [call.seq - 1 for call in calls if call.state != "completed"]
    return max([*told, *ended], default=min(before, default=-1))


def _calls(rank: int, job: _Job) -> list[Call]:
    """All that the rank called: its own record, and before that what others recorded under the numbers it passed."""
    process = job.processes.get(rank)
    own = _own_calls(process, job) if process else []
    passed = [
        _call(job.known[group, number], rank, job)._replace(returns=True)
        for group, members in job.groups.items()
        if rank in members
        for number in range(job.first(group), _own_begin(process, group, own, job))
        if (group, number) in job.known
    ]
    return passed + [_call(call, rank, job) for call in own]


def _own_calls(process: Process, job: _Job) -> list[Collective]:
    own = [call for call in process.collectives if not call.p2p and call.seq >= job.first(call.group)]
    since = min([call.called_at for call in own if call.called_at >= 0], default=-1.0)
    pairs = [call for call in process.collectives if call.p2p and call.called_at >= since][-MOST_PAIRS:]
    return [call for call in process.collectives if call in own or call in pairs]  # in the order of the record


def _own_begin(process: Process | None, group: str, own: Sequence[Collective], job: _Job) -> int:
    """Number of the group's first collective that the rank itself recorded, or of the first that it did not call."""
    if process is None:  # it is taken to have behind it what all have
        return job.passed[group] + 1
    enqueued = [one.enqueued for one in process.groups if one.group == group]
    numbers = [call.seq for call in own if call.group == group and not call.p2p]
    return min(numbers, default=max([_reached(process, group), *enqueued]) + 1)


def _call(call: Collective, rank: int, job: _Job) -> Call:
    op = _P2P.get(call.op.partition(" ")[0].lower(), call.op.lower()) if call.p2p else call.op.lower()
    peer = -1
    if op in ("send", "recv"):
        others = [member for member in job.groups.get(call.group, ()) if member != rank]
        peer = _peer_of(call, others)
    return Call(call.group, call.seq, op, scaled(call.sizes), peer, call.state == "completed")


def _peer_of(call: Collective, others: Sequence[int]) -> int:
    """The partner as the record names it (`send 0->1`), else the only one there can be; -1: not known."""
    arrow = call.op.partition("->")
    here, there = arrow[0].rpartition(" ")[2], arrow[2].strip()
    if here.isdigit() and there.isdigit():
        return int(there) if call.op.lower().startswith("send") or "isend" in call.op.lower() else int(here)
    return others[0] if len(others) == 1 else -1


def scaled(sizes: str) -> int:
    """Elements of the first shape (`8x1024`), at most `LARGEST`; of two larger ones that differ, most still do."""
    elements = 1
    for part in sizes.partition(" ")[0].split("x"):
        if not part.isascii() or not part.isdigit() or len(part) > 12:
            return 4
        elements *= int(part)
    return elements if elements <= LARGEST else LARGEST - elements % 97


def _rank_plan(rank: int, process: Process | None, calls: Sequence[Call], formed: bool) -> RankPlan:
    """`formed`: the group of all is there, so that who still waits for others to join makes another."""
    if process is None or process.exit_status is not None or process.state in (State.DEAD, State.FINISHED):
        return RankPlan(rank, tuple(calls), Stand.EXIT)
    main = main_position(process)
    function = main.function if main else ""
    under_way = [index for index, call in enumerate(calls) if not call.returns]
    if main and main.waits is WaitKind.RENDEZVOUS and not calls:
        return RankPlan(rank, (), Stand.READ if formed else Stand.JOIN, function)
    if under_way and (main is None or main.waits not in _STANDS):
        return RankPlan(rank, tuple(calls[: under_way[-1] + 1]), Stand.COLLECTIVE, function)
    # What is under way and not waited for was issued without a wait, and is played so.
    return RankPlan(rank, tuple(calls), _STANDS.get(main.waits, Stand.SLEEP) if main else Stand.SLEEP, function)
