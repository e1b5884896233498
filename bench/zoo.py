"""The zoo of hangs: how often the diagnosis is right, wrong, or silent.

Every arm of every scenario runs with no recorder in the job and is attached to by process ids alone, once it says that
it is stuck (a healthy arm: while it trains, a look-alike: while it looks stuck). With `--recorder` the job carries one.
Prints a confusion matrix over families (what is true: what was said, how often), whether the rank that holds all up was
named, calibration, times, what the top frame of the main thread alone would say, and for every observation of a cause
how often it was seen where the cause is true and where not, beside its weight (`diagnostics/causes/weights.py`).

    python bench/zoo.py --seeds 5 --log zoo.jsonl            # goes on where it was stopped; several may share the file
    python bench/zoo.py --seeds 5 --log zoo.jsonl --table    # of what the file holds
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import msgspec
from zoo_weights import Run, table

from diagnostics import causes
from diagnostics.analyze.diagnose import diagnose
from diagnostics.analyze.facts import Facts
from diagnostics.analyze.progress import Limits, is_overdue
from diagnostics.collector import procfs
from diagnostics.discover.scan import descendants_of
from diagnostics.errors import LastbatchError
from diagnostics.model import Collection, Finding, Process, StageError
from diagnostics.pipeline import attach
from diagnostics.stacks.prefix_tree import main_thread, waits_in
from diagnostics.transport import flight
from repro import scenarios
from repro.cluster import Cluster, Member, RankSpec
from repro.cluster.local import local_cluster
from repro.runtimes import ensure
from repro.scenario import Expected, Scenario
from repro.trial import recorder_of, wait_until_ready

LONG = "1000000"
EMPTY: Mapping[str, str] = MappingProxyType({})
NAIVE = {
    "lock-order": ("lock", "acquire", "sem_"),
    "collective-mismatch": ("reduce", "gather", "broadcast", "barrier", "Collective"),
    "rendezvous-abort-race": ("RunStep", "RunPartitions", "sessionrun"),
    "input-stall": ("read", "recv", "poll", "select", "IteratorGetNext", "get"),
}


class Result(msgspec.Struct, frozen=True):
    """`truth` and `verdict` are families; `none` is healthy. Seconds from attach to verdict.

    `culprits` are ranks that were said to hold all up, `culprit` the one that does, "" where it is not one alone.
    `observations`: cause -> what spoke for and against it, as the table of weights calls it.
    """

    scenario: str
    arm: str
    seed: int
    recorder: bool
    truth: str
    verdict: str
    confidence: float
    naive: str
    top_frame: str
    seconds: float
    processes: int
    culprit: str = ""
    culprits: tuple[str, ...] = ()
    observations: dict[str, tuple[str, ...]] = {}

    @property
    def outcome(self) -> str:
        return judged(self.truth, self.verdict)


def judged(truth: str, verdict: str) -> str:
    """A healthy job may be called healthy, slow or unknown, never anything that hangs."""
    calm = verdict in ("none", "slow", "unknown")
    if truth == "none":
        return "right" if calm else "wrong"
    return "right" if verdict == truth else "silent" if calm else "wrong"


def naive_reading(frame: str) -> str:
    return next((family for family, parts in NAIVE.items() if any(part in frame for part in parts)), "unknown")


def arms(names: Sequence[str]) -> Iterator[tuple[Scenario, str, Expected]]:
    """Scenario, arm and what is true of it; not those of which both a hang and none are in keeping."""
    for scenario in scenarios.load().values():
        if (names and scenario.name not in names) or "recorder" not in {s.name for s in scenario.settings}:
            continue
        version = ensure(scenario.default_runtime).framework_version
        for arm in scenario.arms:
            expected = scenario.expect(arm.name, version)
            if not expected.either:
                yield scenario, arm.name, expected


def wait_until_stuck(cluster: Cluster, hangs: bool, says_so: bool, seconds: float = 60.0) -> None:
    """Until a rank says so; an arm that never says it is looked at after its ranks have run for a second.

    What hangs stands still then: no thread of it is scheduled.
    """
    began = time.monotonic()
    while time.monotonic() - began < (seconds if says_so else 1.0):
        if any(member.said("stuck") for member in cluster.members):
            break
        time.sleep(0.02)
    quiet = 0
    while hangs and quiet < 10:  # what it does next takes a moment to stand still
        asleep = all(procfs.state_of(member.pid) in ("S", "") for member in cluster.members)
        quiet = quiet + 1 if asleep else 0
        time.sleep(0.05)


@contextmanager
def at_its_hang(
    scenario: Scenario,
    arm: str,
    expected: Expected,
    recorder: bool,
    home: Path,
    path: Sequence[Path] = (),
    given: Mapping[str, str] = EMPTY,
) -> Iterator[Cluster]:
    """The arm's ranks, at the time at which somebody would look at them. `path`: more folders of PYTHONPATH."""
    truth = expected.truth
    given = {**given, "recorder": str(recorder).lower()}
    if (truth == "none" or not scenario.says_stuck) and not scenario.lookalike:
        given |= {setting.name: LONG for setting in scenario.settings if setting.name in ("epoch_ends", "hang_at")}
    settings = scenario.resolve(given, arm)
    specs = [RankSpec(rank, scenario.program, arm, settings) for rank in scenario.ranks(settings)]
    with local_cluster(ensure(scenario.default_runtime), specs, home, path) as cluster:
        wait_until_ready(cluster)
        hangs = truth != "none"
        if hangs and not scenario.says_stuck:
            wait_until_still(cluster)
        else:
            wait_until_stuck(cluster, hangs, hangs or scenario.lookalike)
        if hangs and scenario.told_in_log:
            wait_for(lambda: any(_log_says(member, scenario.told_in_log) for member in cluster.members))
        if hangs and recorder:  # silence has to be longer than the history allows
            wait_for(lambda: any(_is_overdue(member) for member in cluster.members))
        yield cluster


def still_there(cluster: Cluster) -> list[int]:
    """Process ids. Raises: LastbatchError: every rank has ended."""
    left = cluster.exits()
    there = [member.pid for member in cluster.members if member.rank not in left]
    if not there:
        raise LastbatchError(f"every rank has ended: {left}")
    return there


def run_one(
    scenario: Scenario,
    arm: str,
    expected: Expected,
    seed: int,
    recorder: bool,
    home: Path,
    given: Mapping[str, str] = EMPTY,
) -> Result:
    with at_its_hang(scenario, arm, expected, recorder, home, given=given) as cluster:
        began = time.monotonic()
        there = still_there(cluster)
        by_hand = scenario.resolve(given, arm).get("launch", "hand") == "hand"
        ranks = _named_beforehand(cluster, there) if by_hand else {}
        found = attach(there)
        seconds = time.monotonic() - began
    best = found.diagnosis.findings[0].confidence if found.diagnosis.findings else 0.0
    top = _top_frame(found.collection.processes[0])
    return Result(
        scenario.name, arm, seed, recorder, expected.truth, found.diagnosis.verdict, best, naive_reading(top), top,
        round(seconds, 2), len(found.collection.processes), expected.culprit,
        tuple(ranks.get(one.pid, one.rank) for one in found.diagnosis.culprits), observed(found.collection),
    )  # fmt: skip


def _named_beforehand(cluster: Cluster, there: Sequence[int]) -> dict[int, str]:
    """Process id -> rank, also of what a rank started; where one process starts all ranks, these name themselves."""
    ranks = {member.pid: member.rank for member in cluster.members}
    return ranks | {pid: ranks[above] for pid, above in descendants_of(set(there)).items()}


def observed(collection: Collection) -> dict[str, tuple[str, ...]]:
    """Cause -> what spoke for and against it, as the table of weights calls it."""
    seen = {}

    def find(facts: Facts) -> tuple[tuple[Finding, ...], tuple[StageError, ...]]:
        cases = {cause.id: cause.examine(facts) for cause in causes.load()}
        seen.update({cause: tuple(case.observations) for cause, case in cases.items() if case})
        return (), ()

    diagnose(collection, find)
    return seen


def wait_for(condition: Callable[[], bool], seconds: float = 150.0) -> None:
    began = time.monotonic()
    while not condition() and time.monotonic() - began < seconds:
        time.sleep(0.1)


def wait_until_still(cluster: Cluster, seconds: float = 300.0) -> None:
    """Until no rank has used the processor for three seconds."""
    used = [0.0, time.monotonic()]

    def still() -> bool:
        now = sum(thread.cpu for member in cluster.members for thread in procfs.sample_threads(member.pid))
        if now > used[0] + 0.02:
            used[:] = now, time.monotonic()
        return time.monotonic() - used[1] > 3

    wait_for(still, seconds)


def _log_says(member: Member, words: str) -> bool:
    return any(words in line for line in procfs.tail(member.directory / "log"))


def _is_overdue(member: Member) -> bool:
    recording = flight.load(recorder_of(member))
    return recording is not None and is_overdue(recording, Limits())


def _top_frame(process: Process) -> str:
    return waits_in(main_thread(process))


def report(results: Sequence[Result]) -> str:
    lines = ["truth: verdicts", ""]
    for truth in sorted({result.truth for result in results}):
        row = Counter(result.verdict for result in results if result.truth == truth)
        lines.append(f"{truth}: " + ", ".join(f"{verdict} {number}" for verdict, number in row.most_common()))
    count = Counter(result.outcome for result in results)
    kinds = ("right", "silent", "wrong")
    shares = ", ".join(f"{count[kind]} {kind} ({count[kind] / len(results):.0%})" for kind in kinds)
    false_alarms = sum(result.truth == "none" and result.outcome == "wrong" for result in results)
    naive = Counter(judged(result.truth, result.naive) for result in results)
    times = sorted(result.seconds for result in results)
    lines += ["", f"{len(results)} runs: {shares}; healthy jobs called hung: {false_alarms}"]
    lines += ["top frame of the main thread alone: " + ", ".join(f"{naive[kind]} {kind}" for kind in kinds)]
    lines += list(_culprits(results))
    lines += [f"seconds to verdict: median {times[len(times) // 2]:.1f}, longest {times[-1]:.1f}", ""]
    lines += _calibration(results)
    return "\n".join(lines)


def line(result: Result) -> str:
    said = f"{result.outcome:6} {result.scenario}/{result.arm}: {result.truth} -> {result.verdict}"
    culprits = ", ".join(result.culprits) or "nobody"
    return f"{said} ({result.confidence:.0%}) {result.seconds:.1f} s; culprit {culprits}; top frame {result.top_frame}"


def _culprits(results: Sequence[Result]) -> Iterator[str]:
    """Where one rank holds all up, whether it was named; alone is better than among others."""
    known = [result for result in results if result.culprit]
    if known:
        named = [result for result in known if result.culprit in result.culprits]
        alone = sum(set(result.culprits) == {result.culprit} for result in named)
        none = sum(not result.culprits for result in known)
        yield f"culprit: named in {len(named)} of {len(known)} runs that have one, alone in {alone}; nobody in {none}"
        for result in known:
            if result.culprit not in result.culprits:
                said = ", ".join(result.culprits) or "nobody"
                yield f"  {result.scenario}/{result.arm}: {result.culprit}, said was {said}"


def _calibration(results: Sequence[Result]) -> Iterator[str]:
    named = [result for result in results if result.confidence > 0]
    for low, high in ((0.0, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 1.01)):
        group = [result for result in named if low < result.confidence <= high]
        if group:
            mean = sum(result.confidence for result in group) / len(group)
            right = sum(result.outcome == "right" for result in group if low >= 0.5) / len(group)
            span = f"{low:.1f} to {min(high, 1):.1f}"
            yield f"confidence {span}: {len(group)} findings, said {mean:.0%}, right {right:.0%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", help="all, if none is named")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each arm")
    parser.add_argument("--recorder", action="store_true", help="with the flight recorder in the job")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of every scenario")
    parser.add_argument("--log", type=Path, help="a file of one JSON line a run; what it holds is not run again")
    parser.add_argument("--table", action="store_true", help="run nothing, print what --log holds")
    options = parser.parse_args()
    results = [one for one in read(options.log) if one.recorder == options.recorder] if options.log else []
    given = dict(one.split("=", 1) for one in options.set)
    had = {(one.scenario, one.arm, one.seed) for one in results}
    for seed in range(0 if options.table else options.seeds):
        for scenario, arm, expected in arms(options.scenarios):
            if (scenario.name, arm, seed) in had:
                continue
            try:
                with tempfile.TemporaryDirectory() as home:
                    result = run_one(scenario, arm, expected, seed, options.recorder, Path(home) / "job", given)
            except LastbatchError as error:  # it did not come up: the next call tries it again
                print(f"failed {scenario.name}/{arm}: {error}", flush=True)
                continue
            results.append(result)
            print(line(result), flush=True)
            if options.log:
                with options.log.open("ab") as file:
                    file.write(msgspec.json.encode(result) + b"\n")
    print("\n" + report(results))
    print("\n" + table([Run(result.truth, result.observations) for result in results]))
    print(f"\n{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")


def read(log: Path) -> list[Result]:
    return [msgspec.json.decode(line, type=Result) for line in log.read_bytes().splitlines()] if log.exists() else []


if __name__ == "__main__":
    main()
