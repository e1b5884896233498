"""Whether a stuck job is told alike here and through a command, as from another host: every arm of the zoo.

Each arm runs once, with no recorder, and is looked at three times: here, through the command, and here again. What is
told through the command has to be as one of the other two tell it; times do not count, nor where a rank that moves is
just then. Prints what differs, arm by arm.

    python bench/parity.py                                    # all arms
    python bench/parity.py ddp-uneven lock-order              # of these scenarios
    python bench/parity.py --via 'env X={host}' --log parity.jsonl     # goes on where it was stopped
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from zoo import arms, at_its_hang, still_there

from diagnostics.errors import LastbatchError
from diagnostics.model import Process, State
from diagnostics.pipeline import Answer, attach
from diagnostics.transport import Fleet
from repro.scenario import Expected, Scenario

MOVES = frozenset({State.PROGRESSING, State.SLOW})
Facts = Mapping[str, Any]


class Compared(msgspec.Struct, frozen=True):
    """`facts`: how many were compared. `differences`: each in words."""

    scenario: str
    arm: str
    verdict: str
    facts: int
    differences: tuple[str, ...]
    seconds: float


def facts_of(answer: Answer) -> Facts:
    """What is told, by what it is told of, but for times."""
    found = answer.diagnosis
    facts: dict[str, Any] = {
        "verdict": (found.verdict, found.hung),
        "findings": tuple((one.cause, one.family) for one in found.findings),
        "culprits": tuple(
            (one.rank, one.pid, one.position and (one.position.operation, one.position.place)) for one in found.culprits
        ),
        "processes": tuple(sorted((one.rank, one.pid) for one in answer.collection.processes)),
        "errors": found.errors,
    }
    moving = {one.rank for one in answer.collection.processes if one.state in MOVES}
    facts["waits"] = tuple(sorted((w.rank, w.on, w.kind.value) for w in found.waits if w.rank not in moving))
    for process in answer.collection.processes:
        facts |= {f"{process.rank} {name}": value for name, value in _of_process(process)}
    return facts


def _of_process(process: Process) -> list[tuple[str, Any]]:
    facts = [
        ("state", process.state), ("stacks from", process.stacks_from), ("versions", process.versions),
        ("serves", process.listens), ("framework", process.framework_why_not),
    ]  # fmt: skip
    if process.state in MOVES:
        return facts
    facts += [("collectives", process.collectives), ("groups", process.groups), ("partners", process.partners)]
    facts += [
        (f"thread {one.tid}", (one.operation, one.function, one.line, one.waits, one.roles))
        for one in process.positions
    ]
    calls = [(call.kind, call.call) for call in process.blocking_calls if call.tid == process.pid]
    return [*facts, ("blocking call", tuple(calls))]


def differences(there: Facts, *here: Facts) -> tuple[str, ...]:
    """What is told through the command and by none of those who looked here, and what all of these tell and it not."""
    missing = object()
    names = [name for name in {**here[0], **there} if name in there or all(name in one for one in here)]
    return tuple(
        f"{name}: here {here[0].get(name)}, there {there.get(name)}"
        for name in names
        if all(there.get(name, missing) != one.get(name, missing) for one in here)
    )


def compared(scenario: Scenario, arm: str, expected: Expected, via: str, home: Path) -> Compared:
    began = time.monotonic()
    with at_its_hang(scenario, arm, expected, False, home) as cluster:
        pids = still_there(cluster)
        before = facts_of(attach(pids))
        there = facts_of(attach(pids, fleet=Fleet(("here",), via)))
        after = facts_of(attach(pids))
    seconds = round(time.monotonic() - began, 1)
    return Compared(scenario.name, arm, before["verdict"][0], len(there), differences(there, before, after), seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", help="all, if none is named")
    parser.add_argument("--via", default="env X={host}", help="a command that runs others; default: %(default)r")
    parser.add_argument("--log", type=Path, help="a file of one JSON line an arm; what it holds is not run again")
    options = parser.parse_args()
    log: Path | None = options.log
    lines = log.read_bytes().splitlines() if log and log.exists() else []
    results = [msgspec.json.decode(line, type=Compared) for line in lines]
    had = {(one.scenario, one.arm) for one in results}
    for scenario, arm, expected in arms(options.scenarios):
        if (scenario.name, arm) in had:
            continue
        try:
            with tempfile.TemporaryDirectory() as home:
                result = compared(scenario, arm, expected, options.via, Path(home) / "job")
        except LastbatchError as error:
            print(f"failed {scenario.name}/{arm}: {error}", flush=True)
            continue
        results.append(result)
        print("\n    ".join((line_of(result), *result.differences)), flush=True)
        if log:
            with log.open("ab") as file:
                file.write(msgspec.json.encode(result) + b"\n")
    alike = sum(not one.differences for one in results)
    print(f"\nalike: {alike} of {len(results)} arms; {sum(one.facts for one in results)} facts compared")


def line_of(result: Compared) -> str:
    said = f"{len(result.differences)} differ" if result.differences else "alike"
    return f"{said:10} {result.scenario}/{result.arm}: {result.verdict}, {result.facts} facts, {result.seconds} s"


if __name__ == "__main__":
    main()
