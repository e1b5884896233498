"""How long and in how much memory the rings of many ranks become one graph of ranks and process groups.

    python bench/torch_ring.py [--ranks 4096] [--groups 32] [--entries 4]

Synthetic: a grid of data, tensor and pipeline groups and more of other sizes; ranks wait in a circle across groups.
CPU seconds of groups, circles, waits are counted; the rings are made before. One line of JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import time

import msgspec

from diagnostics.analyze.process_groups import circles, groups_of
from diagnostics.analyze.waits import find_waits
from diagnostics.model import Collection, Collective, Process, ProcessGroup


def members_of(rank: int, group: int, ranks: int) -> tuple[str, range]:
    """Group 0 is everybody; of the others each cuts the job into parts of one size, near or far from each other."""
    if group == 0:
        return "default_pg", range(ranks)
    size = 2 ** (group % 8 + 1)
    stride = 2 ** (group % 11) if 2 ** (group % 11) * size <= ranks else 1
    block = rank // (size * stride) * size * stride
    first = block + rank % stride
    return f"group {group} of {first}", range(first, first + size * stride, stride)


def job(ranks: int, groups: int, entries: int) -> Collection:
    known: dict[str, tuple[int, ...]] = {}
    processes = []
    for rank in range(ranks):
        collectives, mine = [], []
        waits = rank % groups  # in which of its groups
        for group in range(groups):
            label, members = members_of(rank, group, ranks)
            numbers = known.setdefault(label, tuple(members))
            last = 100 + (group == waits)
            collectives += [
                Collective(label, number, "all_reduce", "1024", "scheduled" if number > 100 else "completed")
                for number in range(last - entries + 1, last + 1)
            ]
            mine.append(ProcessGroup(label, label, label, numbers, len(numbers), numbers.index(rank)))
        process = Process(f"worker:{rank}", 1000 + rank, f"node{rank // 8}")
        processes.append(msgspec.structs.replace(process, collectives=tuple(collectives), groups=tuple(mine)))
    return Collection(1.0, 2.0, tuple(processes))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ranks", type=int, default=4096)
    parser.add_argument("--groups", type=int, default=32)
    parser.add_argument("--entries", type=int, default=4)
    asked = parser.parse_args()
    collection = job(asked.ranks, asked.groups, asked.entries)
    began = time.process_time()
    groups = groups_of(collection.processes)
    grouped = time.process_time()
    found = circles(groups)
    circled = time.process_time()
    waits = find_waits(collection)
    ended = time.process_time()
    print(
        json.dumps(
            {
                "ranks": asked.ranks, "groups": len(groups), "circles": len(found), "waits": len(waits),
                "group_s": round(grouped - began, 2), "circle_s": round(circled - grouped, 2),
                "wait_s": round(ended - circled, 2), "seconds": round(ended - began, 2),
                "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
            }
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
