"""Ranks wait in a collective for a rank that stands somewhere else, for a reason that is not known.

This is where to look, not why. What carries the cause: some ranks wait for others, and the rest, which should be
with them, stand at places of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from diagnostics.analyze.facts import Facts, names
from diagnostics.analyze.process_groups import Group
from diagnostics.causes.base import Case, Cause, Remedy
from diagnostics.causes.observe import OUTSIDE, At, main_at, peers, rests
from diagnostics.causes.stale_lock_file import waited_for
from diagnostics.model import GONE, Process, Role, State, WaitKind
from diagnostics.redact import redact_text
from diagnostics.stacks.position import recorded_position

_TOGETHER = (Role.COLLECTIVE, Role.BARRIER)
_JOIN = (Role.RENDEZVOUS,)
_OF_ITS_OWN = (*OUTSIDE, WaitKind.TIME, WaitKind.LOCK, WaitKind.RENDEZVOUS)


def examine(facts: Facts) -> Case | None:
    standing = [(process, main) for process in peers(facts) if (main := main_at(process))]
    return _by_stacks(facts, standing) if standing else _by_numbers(facts)


def _by_stacks(facts: Facts, standing: Sequence[tuple[Process, At]]) -> Case | None:
    # Who looks for others, while these are in a collective, is not with them.
    meets = next((roles for roles in (_TOGETHER, _JOIN) if any(main.position.has(*roles) for _, main in standing)), ())
    inside = [(process, main) for process, main in standing if main.position.has(*meets)]
    absent = [(p, main) for p, main in standing if not main.position.has(*meets) and p.state not in GONE]
    if not inside or not absent:
        return None
    case = Case("rank-elsewhere")
    what = "a key that another is to set" if inside[0][1].position.has(Role.KEY) else "other ranks"
    said = f"waits for {what}: {inside[0][1].where}"
    case.saw("waits", said, "stacks", names(process for process, _ in inside))
    for process, main in absent[:4]:
        waits = main.position.waits_for or main.position.waits.words
        case.saw("absent", f"has not come: it stands in {main.where}, and waits for {waits}", "stacks", [process.rank])
    for group, number, waiting, late in _late(facts, names(p for p, _ in inside)):
        for rank in late[:4]:
            if rank in names(p for p, _ in absent):
                case.saw("behind", _come(group, rank, waiting, number), "flight recorder", [rank])
    _look_at_locks(case, [process for process, _ in absent])
    if len(absent) <= len(inside):
        case.saw("few", f"{len(absent)} of {len(absent) + len(inside)} ranks are elsewhere", "stacks")
    _look_at_movement(case, inside, absent)
    return case


def _look_at_locks(case: Case, absent: Sequence[Process]) -> None:
    """A lock that another process holds is a reason, which has a name of its own."""
    for process in absent:
        held = [lock for lock in waited_for(process) if set(lock.holders) - {process.pid}]
        if held:
            said = f"it waits for a lock on {redact_text(held[0].path)}, which another process holds"
            case.saw("lock-held", said, "/proc/locks", [process.rank])


def _by_numbers(facts: Facts) -> Case | None:
    """Where there are only records of collectives: members that wait in one, and others that wait in none."""
    recorded = {process.rank: recorded_position(process) for process in facts.processes}
    waits = tuple(rank for rank, position in recorded.items() if position)
    for group, number, waiting, late in _late(facts, waits):
        away = [rank for rank in late if not recorded.get(rank)]
        if not away:
            continue
        case = Case("rank-elsewhere")
        case.title = f"{', '.join(waiting[:4])} wait for {', '.join(away[:4])}, which called no collective after"
        for rank in away[:4]:
            case.saw("behind", _come(group, rank, waiting, number), "flight recorder", [rank])
        case.saw("waits", f"waits for other ranks in group {group.label}", "flight recorder", waiting)
        case.saw("dumped", "somebody took dumps of them, as is done of what hangs", "dump", waiting)
        case.needs(f"where {', '.join(away[:4])} stands: its stacks (py-spy dump)")
        if group.coverage:
            unseen = ", ".join(group.unseen[:4])
            case.needs(f"the records of {unseen}: {group.coverage} of group {group.label} are known")
        return case
    return None


def _late(facts: Facts, inside: Sequence[str]) -> Iterator[tuple[Group, int, tuple[str, ...], tuple[str, ...]]]:
    """Of each group in which some of these ranks wait: in which number, who does, and who has not come so far."""
    for group in facts.groups:
        numbers = {rank: group.members[rank].number for rank in inside if rank in group.members}
        newest = max(numbers.values(), default=-1)
        late = group.behind(newest) if newest >= 0 else ()
        if late:
            yield group, newest, tuple(rank for rank, number in numbers.items() if number == newest), late


def _come(group: Group, rank: str, waiting: Sequence[str], number: int) -> str:
    last = group.members[rank].last
    called = f"has called {last} collectives" if last else "has called no collective"
    return f"{called} of group {group.label}; {', '.join(waiting[:4])} in {number}"


def _look_at_movement(case: Case, inside: Sequence[tuple[Process, At]], absent: Sequence[tuple[Process, At]]) -> None:
    moving = [process for process, _ in absent if process.state in (State.PROGRESSING, State.SLOW)]
    if moving:
        case.saw("absent-moves", "it moves, and may still come", "samples", names(moving))
    elif all(main.position.waits in _OF_ITS_OWN for _, main in absent):
        case.saw("absent-waits", "it waits for something of its own", "stacks", names(p for p, _ in absent))
    elif all(rests(process) for process, _ in absent) and inside[0][1].position.has(*_TOGETHER):
        # No data are left to it, which explains no wait for a group that is being formed.
        said = "it stands still with nothing of its own to wait for: it may have left its loop"
        case.saw("absent-has-left", said, "stacks", names(p for p, _ in absent))
    hung = [process for process, _ in (*absent, *inside) if process.state is State.HUNG]
    if any(process.state is State.PROGRESSING for process, _ in inside):
        case.saw("moves", "a rank that waits moves", "samples", names(p for p, _ in inside))
    elif hung:
        case.saw("hung", hung[0].state_why or "it hangs", "samples", names(hung))
    elif any(process.samples for process, _ in absent):
        said = "that it does not get on is not decided: it may evaluate, save or compile"
        case.saw("undecided", said, "samples", names(p for p, _ in absent))
    else:
        case.saw("dumped", "somebody took dumps of them, as is done of what hangs", "dump", names(p for p, _ in inside))


CAUSE = Cause(
    id="rank-elsewhere",
    family="rank-elsewhere",
    title="Ranks wait for a rank that stands somewhere else",
    examine=examine,
    not_to_be_confused_with=(
        "A rank that evaluates, saves or compiles is elsewhere for a while, and comes. Where the reason is known "
        "(a lock, its input, a dead helper), that is the cause, and this its effect."
    ),
    versions="any",
    remedies=(
        Remedy(
            "look-at-rank",
            "Look at the rank that has not come: what it waits for, at the place that is named, has to be mended there",
        ),
        Remedy(
            "short-timeout",
            "Give groups a timeout (init_process_group(timeout=...)): the job then ends, and says where",
            only="torch",
        ),
        Remedy(
            "step-timeout",
            "Give a session's steps a limit (operation_timeout_in_ms): the job then ends, and says where",
            only="tensorflow",
        ),
        Remedy("same-branches", "Let every rank take the same branches between two collectives"),
    ),
    references=("https://pytorch.org/docs/stable/distributed.html#monitored-barrier",),
    search_for=("    all_reduce (torch/distributed/distributed_c10d.py)", "    recv_into (ssl.py:1165)"),
)
