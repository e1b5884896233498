"""Ranks of one group came to different collectives, so that none of them can complete.

PyTorch numbers the collectives of a group. Where two ranks recorded another operation, or another size, under the
same number, they have parted ways; the first such number is where. A rank that has only recorded fewer is elsewhere.
Without such records, stacks that stand still in different operations say the same, less surely.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from diagnostics.analyze.facts import Facts
from diagnostics.analyze.facts import names as names_in
from diagnostics.analyze.recorded import records_of
from diagnostics.analyze.wait_graph import cycles
from diagnostics.causes.base import Case, Cause, Remedy, likeliest
from diagnostics.causes.observe import peers, place, together
from diagnostics.model import Collective, Position, Process, Role, State
from diagnostics.model.rank import RankKind, parse
from diagnostics.stacks.position import main_position
from diagnostics.stacks.spoken import partner_is_to

_SHOWN = 8
Table = dict[str, dict[int, Collective]]  # rank -> number -> collective, of one group


def examine(facts: Facts) -> Case | None:
    groups = [table for table in _groups(facts) if len(table) > 1]
    return likeliest((*map(_examine_group, groups), _examine_stacks(facts), _examine_pairs(facts)))


def _examine_stacks(facts: Facts) -> Case | None:
    standing = {p.rank: position for p in peers(facts) if (position := _meets(p)) and _differs(p, position, facts)}
    if all(_is_between_two(position.operation) for position in standing.values()):
        return None  # a send and a receive belong together
    ways = _sorted_by({rank: position.operation for rank, position in standing.items()})
    case = Case("collective-mismatch")
    if len(ways) > 1 and not _cut(ways):
        said = "; ".join(f"{_ranks(ranks)} in {op}" for op, ranks in sorted(ways.items()))
        case.saw("stacks-differ", f"ranks stand in different collectives: {said}", "stacks", standing)
    elif called := _called_apart(facts, standing):
        said = "; ".join(f"{_ranks(ranks)} from {where}" for where, ranks in sorted(called.items()))
        case.saw("places-differ", f"ranks called {next(iter(ways))} at different places: {said}", "stacks", standing)
    else:
        return None
    if len({position.group for position in standing.values()} - {""}) > 1:
        case.saw("groups-differ", "they are of different groups", "flight recorder", standing)
    if any(position.has(Role.TEARDOWN) for position in standing.values()):
        case.saw("tears-down", "one of them tears down", "stacks", standing)
    _look_at_movement(case, [process for process in facts.processes if process.rank in standing])
    case.needs("whether they are of one group: PyTorch's Flight Recorder numbers the collectives of each group")
    return case


def _differs(process: Process, position: Position, facts: Facts) -> bool:
    """Whether what it stands in may be another one than the others': not where its partner has come."""
    has_partner = any(one.tid == position.tid for one in process.partners)
    return bool(position.operation) and (not has_partner or (process.rank, position.tid) in facts.relations.unmet)


def _look_at_movement(case: Case, inside: Sequence[Process]) -> None:
    moving = [process.rank for process in inside if process.state in (State.PROGRESSING, State.SLOW)]
    if moving:
        case.saw("moves", "one of them moves", "samples", moving)
    elif all(len(process.samples) > 1 for process in inside):
        case.saw("nothing-moved", "none of them moved between two samples", "samples", names_in(inside))


def _examine_pairs(facts: Facts) -> Case | None:
    """Ranks that send to or receive from each other in a circle, none of which does what another waits for."""
    names, waits = facts.relations.numbers, facts.relations.unmet
    known = {process.rank: process for process in facts.processes}
    inside = {
        rank: one for (rank, tid), one in waits.items() if (main := main_position(known[rank])) and main.tid == tid
    }
    graph = {rank: frozenset(inside.keys() & {names[one.rank]}) for rank, one in inside.items()}
    circle = next(iter(cycles(graph)), ())
    if not circle:
        return None
    case = Case("collective-mismatch")
    case.title = f"{_ranks(circle)} send to or receive from each other, and none does what the next one waits for"
    for rank in circle[:_SHOWN]:
        main, one = main_position(known[rank]), inside[rank]
        said = f"stands in {one.operation} with {names[one.rank]}, which is in no call that ends it: {place(main)}"
        case.saw("pairs-unmet", said, "stacks", [rank])
    _look_at_movement(case, [known[rank] for rank in circle])
    return case


def _meets(process: Process) -> Position | None:
    """Where it meets others: in a collective, or where it makes one more group, which all have to come to."""
    main = main_position(process)
    makes = main is not None and main.has(Role.RENDEZVOUS) and bool(process.groups) and bool(process.collectives)
    return main if makes else together(process)


def _called_apart(facts: Facts, standing: Mapping[str, Position]) -> Mapping[str, list[str]]:
    """The places from which ranks called the same operation, where all ranks are in it, and from more than one."""
    places = {rank: position.place for rank, position in standing.items() if position.own}
    between_two = any(_is_between_two(position.operation) for position in standing.values())
    if len(places) < len(peers(facts)) or between_two:
        return {}
    called = _sorted_by(places)
    sampled = all(len(process.samples) > 1 for process in facts.processes if process.rank in standing)
    return called if len(called) > 1 and sampled else {}


def _sorted_by(named: Mapping[str, str]) -> dict[str, list[str]]:
    """name -> the ranks that have it."""
    found: dict[str, list[str]] = {}
    for rank, name in sorted(named.items()):
        found.setdefault(name, []).append(rank)
    return found


def _groups(facts: Facts) -> Iterable[Table]:
    for called in records_of(facts.processes).values():
        yield {rank: {one.seq: one for one in collectives} for rank, collectives in called.items() if collectives}


def _examine_group(table: Table) -> Case | None:
    case = Case("collective-mismatch")
    if parted := _first_parting(table):
        number, ways = parted
        said = "; ".join(f"{_ranks(ranks)} came to {way}" for way, ranks in sorted(ways.items()))
        ranks = [rank for way in ways.values() for rank in way]
        case.saw("numbers-differ", f"collective {number}: {said}", "flight recorder", ranks)
        for rank in ranks[:1] + ranks[-1:]:
            if frame := next(iter(_own_frames(table[rank][number])), ""):
                case.saw("called-at", f"{rank} called it in {frame}", "flight recorder", [rank])
        return case
    return _look_for_other(case, table)


def _first_parting(table: Table) -> tuple[int, dict[str, list[str]]] | None:
    """The first number under which ranks recorded different operations, with who recorded what."""
    for number in sorted({number for numbers in table.values() for number in numbers}):
        ways: dict[str, list[str]] = {}
        for rank, numbers in sorted(table.items()):
            if number in numbers and not _is_between_two(numbers[number].op):
                ways.setdefault(_way(numbers[number]), []).append(rank)
        if len(ways) > 1 and not _cut(ways):
            return number, ways
    return None


_SAME_SIZES = ("all_reduce", "allreduce", "reduce_scatter", "broadcast", "reduce")


def _cut(names: Iterable[str]) -> bool:
    """Whether one is the beginning of the other, as where a terminal broke the line in the middle of a word."""
    ordered = sorted(map(_plain, names))
    return all(ordered[-1].startswith(name) for name in ordered)


def _way(collective: Collective) -> str:
    """What has to agree: the operation, and its size where every rank brings the same."""
    sized = collective.op.lower().lstrip("_").startswith(_SAME_SIZES) and collective.sizes
    return f"{collective.op} of {collective.sizes}" if sized else collective.op


def _look_for_other(case: Case, table: Table) -> Case | None:
    """Whether one that is behind waits itself, in an operation that the others are past: there it was another one."""
    last = {rank: max(numbers) for rank, numbers in table.items()}
    newest = max(last.values())
    behind = sorted(rank for rank, number in last.items() if number < newest)
    waiting = sorted(rank for rank in last if rank not in behind and table[rank][newest].state != "completed")
    op = table[waiting[0]][newest].op if waiting else ""
    apart = [rank for rank in behind if op and _waits_apart(table[rank][last[rank]], op)]
    if not apart:
        return None
    other = table[apart[0]][last[apart[0]]]
    said = f"{apart[0]} waits in {other.op} {other.seq}, which {waiting[0]} is past: it was another operation there"
    case.saw("waits-apart", said, "flight recorder", [apart[0], waiting[0]])
    said = f"{_ranks(waiting)} wait in collective {newest} ({op}), which {_ranks(behind)} never came to"
    case.saw("behind", said, "flight recorder", [*waiting, *behind])
    case.needs(f"what {_ranks(behind)} does instead: its stacks (py-spy dump) say whether it left the loop or is stuck")
    return case


def _waits_apart(collective: Collective, op: str) -> bool:
    """A rank that itself waits, in another operation, has not only fallen behind."""
    return collective.state != "completed" and not _cut((collective.op, op))


def _is_between_two(op: str) -> bool:
    """What one does while another does something else under the same number."""
    return bool(partner_is_to(op)) or _plain(op).startswith("coalesced")


def _plain(op: str) -> str:
    return op.lower().rpartition(":")[2].replace("_", "")


def _own_frames(collective: Collective) -> Iterable[str]:
    """The program's own frames, innermost first."""
    for frame in reversed(collective.frames):
        if "/torch/" not in frame.file:
            yield f"{frame.function} ({frame.file.rpartition('/')[2]}:{frame.line})"


def _ranks(ranks: Iterable[str]) -> str:
    """`worker:0-3, worker:7`"""
    parts = []
    known = sorted((one.role, one.index) for one in map(parse, ranks) if one.kind is RankKind.RANK)
    for role, named in groupby(known, key=lambda one: one[0]):
        numbers = [number for _, number in named]
        parts += [f"{role}:{number}" for number in numbers[:6]] + ([f"{len(numbers) - 6} more"] if numbers[6:] else [])
    return ", ".join(parts) or ", ".join(sorted(ranks))


CAUSE = Cause(
    id="collective-mismatch",
    family="collective-mismatch",
    title="Ranks came to different collective operations, and wait for each other in them",
    examine=examine,
    not_to_be_confused_with=(
        "A rank that has recorded fewer collectives is not yet one that called another: it may be slow, stuck or dead "
        "on its way. A watchdog's timeout names the operation that waited, not who made it wait."
    ),
    versions="torch.distributed of any release, all backends; Horovod and NCCL programs alike",
    remedies=(
        Remedy(
            "same-order",
            "Let every rank call the same collectives in the same order: no collective under `if rank == 0`, or in "
            "an exception's handler",
        ),
        Remedy(
            "join-uneven",
            "For data of uneven length: DistributedDataParallel.join(), drop_last=True, or a number of steps agreed on",
            only="torch",
        ),
        Remedy(
            "debug-detail",
            "Find the place: TORCH_DISTRIBUTED_DEBUG=DETAIL checks every collective before it runs (slow)",
            only="torch",
        ),
    ),
    references=(
        "https://pytorch.org/tutorials/prototype/flight_recorder_tutorial.html",
        "https://pytorch.org/docs/stable/distributed.html#debugging-torch-distributed-applications",
    ),
    scenario="collective-mismatch",
    search_for=(
        "[Rank 0] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=1580, OpType=ALLREDUCE, ...)",
        "[Rank 1] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=1580, OpType=ALLGATHER, ...)",
    ),
)
