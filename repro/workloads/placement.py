"""Which variable sits on which server."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from repro.workloads.workload import Variable


def shard(variable: Variable, index: int, servers: int) -> Variable:
    """The share of a partitioned variable that server `index` holds; the first servers take the odd rows.

    A step's ids are taken to fall on all shares alike.
    """
    rows = variable.shape[0] // servers + (index < variable.shape[0] % servers)
    looked_up = None if variable.looked_up is None else -(-variable.looked_up // servers)
    shape = (rows, *variable.shape[1:])
    return msgspec.structs.replace(variable, shape=shape, looked_up=looked_up, partitioned=False)


def place(variables: Sequence[Variable], servers: int) -> tuple[tuple[Variable, ...], ...]:
    """What each server holds: equal shares of partitioned variables, each other one where least is so far.

    `repro.nodes.models.placement` follows the same rule.
    """
    held: list[list[Variable]] = [[] for _ in range(servers)]
    load = [0] * servers
    for variable in variables:
        if variable.partitioned:
            parts = [(index, shard(variable, index, servers)) for index in range(servers)]
        else:
            parts = [(load.index(min(load)), variable)]
        for index, part in parts:
            held[index].append(part)
            load[index] += part.size
    return tuple(map(tuple, held))
