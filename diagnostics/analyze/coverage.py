"""Where the ranks stand by what their frameworks recorded: who is alike, who differs, who said nothing. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from diagnostics.model import Collection, Collective, Process
from diagnostics.model.rank import RankKind, parse
from diagnostics.stacks.position import main_position

_SHOWN = 6


def coverage_words(collection: Collection) -> tuple[str, ...]:
    """A sentence for each group whose collectives some rank recorded."""
    groups: dict[str, dict[str, Collective]] = {}
    for process in collection.processes:
        for group, one in _open_in(process).items():
            groups.setdefault(group, {})[process.rank] = one
    recorded = tuple(_words(group, ranks, collection) for group, ranks in sorted(groups.items()))
    return recorded or _by_stacks(collection)


def _by_stacks(collection: Collection) -> tuple[str, ...]:
    """The same of dumps: in what, and where in their own code, the processes stand."""
    ways: dict[str, list[str]] = {}
    for process in collection.processes:
        position = main_position(process) if process.dump else None
        if position and (place := " at ".join(filter(None, (position.operation, position.place)))):
            ways.setdefault(place, []).append(process.rank)
    if not ways:
        return ()
    ranks = [rank for who in ways.values() for rank in who]
    said = "; ".join(f"{compact(who)} in {place}" for place, who in list(ways.items())[:_SHOWN])
    said += ": these stand alike" if len(ways) == 1 and len(ranks) > 1 else ""
    absent = _absent(ranks, collection) if len(ranks) > 1 else []
    return (said + (f"; nothing is known of {compact(absent)}: look there" if absent else ""),)


def _open_in(process: Process) -> dict[str, Collective]:
    """Of each group the first that has not completed: what the rank waits in."""
    found: dict[str, Collective] = {}
    for one in sorted(process.collectives, key=lambda one: one.seq):
        if one.state not in ("completed",):
            found.setdefault(one.group, one)
    return found


def _words(group: str, ranks: dict[str, Collective], collection: Collection) -> str:
    ways: dict[tuple[str, int], list[str]] = {}
    for rank, one in ranks.items():
        ways.setdefault((one.op, one.seq), []).append(rank)
    of = f" of group {group}" if group else ""
    parts = [f"{compact(who)} in {op or 'collective'} {seq}" for (op, seq), who in sorted(ways.items(), key=str)]
    absent = _absent(ranks, collection)
    if len(ways) > 1:
        said = f"ranks differ{of}: " + "; ".join(parts)
    elif len(ranks) > 1:
        said = f"{parts[0]}{of}: these {len(ranks)} ranks stand alike"
    else:
        said = f"{parts[0]}{of}"
    if absent:
        placed = {process.rank for process in collection.processes if process.threads or process.collectives}
        away, unknown = ([rank for rank in absent if (rank in placed) is known] for known in (True, False))
        elsewhere = f"; {compact(away)} {'stands' if len(away) == 1 else 'stand'} elsewhere" if away else ""
        unseen = f"; nothing is known of {compact(unknown)}: look there" if unknown else ""
        return said + elsewhere + unseen
    alike = len(ways) == 1 and len(ranks) > 1
    return said + (", all in the same place, so none that is known is missing: look at devices and network" * alike)


def _absent(ranks: Iterable[str], collection: Collection) -> list[str]:
    """Ranks that are not in it: known ones, and numbers that are left out below the highest."""
    inside = set(ranks)
    known = [process.rank for process in collection.processes] + list(collection.expected)
    by_role: dict[str, set[int]] = {}
    for one in map(parse, (*inside, *known)):
        if one.kind is RankKind.RANK:
            by_role.setdefault(one.role, set()).add(one.index)
    roles = {parse(rank).role for rank in inside}
    numbers = [f"{role}:{n}" for role in roles for n in range(min(max(by_role.get(role, {0})) + 1, 4096))]
    return [rank for rank in numbers if rank not in inside]


def compact(ranks: Iterable[str]) -> str:
    """`worker:0-3, 7`."""
    by_role: dict[str, list[int]] = {}
    names = []
    for rank in ranks:
        one = parse(rank)
        if one.kind is RankKind.RANK:
            by_role.setdefault(one.role, []).append(one.index)
        else:
            names.append(rank)
    for role, numbers in sorted(by_role.items()):
        names.append(f"{role}:" + ", ".join(_runs(sorted(set(numbers)))))
    return ", ".join(names)


def _runs(numbers: list[int]) -> list[str]:
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    shown = [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]
    return shown[: _SHOWN * 2] + ([f"and {len(shown) - _SHOWN * 2} more"] if shown[_SHOWN * 2 :] else [])
