"""How long it takes to ask many hosts and to have all answers as one collection: stand-ins for hosts, on this machine.

A stand-in is a command that takes the collector, waits as long as a network and a collector would, and gives the answer
that a real collector gave of a stuck process. So what is measured is the asking, the carrying and the joining. Some
stand-ins never answer: they may cost their entry and the deadline, nothing else.

    python bench/fanout.py --hosts 512 1600
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
from attach_overhead import stuck

from diagnostics.transport import Fleet, OnHost, Options, Target, There, program
from diagnostics.transport.command import run_on
from diagnostics.transport.options import asked_of

STAND_IN = r"""
case "$1" in silent*) exec sleep 600;; esac
cat >/dev/null &
printf '%s\n' '{ready}'
sleep {seconds}
cat '{answer}'
"""


def recorded(pid: int, home: Path) -> Path:
    """What a real collector answers of this process."""
    order = program.order(["observe", "stacks"], asked_of([Target(pid)]), Options(gap=0.1), 30.0)
    said = run_on("env X={host}", {"here": program.script(order, platform.machine())}, 30.0)["here"]
    if said.why_not:
        sys.exit(f"the collector did not answer: {said.why_not}")
    path = home / "answer"
    path.write_bytes(said.output)
    return path


def measure(pid: int, hosts: int, silent: int, seconds: float, deadline: float, home: Path) -> dict[str, Any]:
    answer, command = recorded(pid, home), home / "stand-in"
    command.write_text(STAND_IN.format(ready=program.READY.decode().strip(), seconds=seconds, answer=answer))
    names = [f"silent{n}" if n < silent else f"host{n}" for n in range(hosts)]
    there = tuple(OnHost(name, platform.machine(), (Target(pid),)) for name in names)
    before, began = os.times(), time.monotonic()
    collection = There(Fleet(tuple(names), f"sh {command} {{host}}", deadline), there).collect(Options())
    wall, after = time.monotonic() - began, os.times()
    answered = sum(bool(one.threads) for one in collection.processes)
    if answered != hosts - silent:
        sys.exit(f"{answered} of {hosts - silent} stand-ins answered: {collection.processes[-1].why_not}")
    mine = after.user + after.system - before.user - before.system
    theirs = after.children_user + after.children_system - before.children_user - before.children_system
    return {
        "hosts": hosts, "silent": silent, "answered": answered, "entries": len(collection.processes),
        "seconds": round(wall, 2), "cpu_s": round(mine, 2),
        "stand_ins_cpu_s": round(theirs, 2), "deadline_s": deadline, "a_host_takes_s": seconds,
        "answer_kb": round(answer.stat().st_size / 1024, 1),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, nargs="*", default=[64, 512, 1600])
    parser.add_argument(
        "--silent", type=int, default=4, help="of the hosts never answer, in a second run of each number"
    )
    parser.add_argument("--seconds", type=float, default=1.5, help="that a host takes to answer")
    parser.add_argument("--deadline", type=float, default=10.0, help="seconds for a host")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lastbatch-bench-") as home, stuck(1, 1.0) as pids:
        rows = [
            measure(pids[0], hosts, silent, asked.seconds, asked.deadline, Path(home))
            for hosts in asked.hosts
            for silent in sorted({0, asked.silent})
        ]
    if asked.json:
        print(msgspec.json.encode(rows).decode())
        return
    for row in rows:
        print("  ".join(f"{name} {value:g}" for name, value in row.items()))


if __name__ == "__main__":
    main()
