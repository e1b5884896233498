"""A stuck TensorFlow job as a scenario of the zoo: which arm hangs as it did, and with which settings.

Graph-mode jobs keep no ring of what they ran, so there is no program to write. What the evidence holds is who took
part, who receives a step, where the input stands, and the release; the scenario of the cause brings the rest.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import NamedTuple

from diagnostics.errors import MissingError
from diagnostics.model import Collection, Diagnosis, Process, Role
from diagnostics.model.rank import RankKind, parse
from diagnostics.report.text import plural
from repro import scenarios
from repro.faults import schedule
from repro.replay.compare import Hang
from repro.runtimes.names import parse as parse_runtime
from repro.runtimes.names import release_numbers
from repro.scenario import Expected, Scenario, Settings

CHIEFS = ("worker:0", "chief:0", "master:0")
SERVERS, WORKERS = "ps", "workers"
STARTUP = "startup"


class Choice(NamedTuple):
    """An arm of a scenario that hangs as a job did. `taken`: what it has of the job, and what it lacks, in words.

    `faults` as `run` takes them: what makes it hang, where the arm by itself does not.
    """

    scenario: Scenario
    arm: str
    runtime: str
    given: Mapping[str, str]
    taken: tuple[str, ...]
    faults: tuple[str, ...] = ()

    @property
    def settings(self) -> Settings:
        return self.scenario.resolve(self.given, self.arm)

    @property
    def ranks(self) -> tuple[str, ...]:
        return self.scenario.ranks(self.settings)

    @property
    def expected(self) -> Expected:
        if self.faults:
            return Expected(hang=True, family=schedule.parse(self.faults[0]).fault.family)
        release = release_numbers(parse_runtime(self.runtime).framework_version)
        return self.scenario.expected(self.arm, release, self.settings)

    @property
    def command(self) -> tuple[str, ...]:
        """As it would be typed."""
        sets = [word for name, value in self.given.items() for word in ("--set", f"{name}={value}")]
        sets += [word for fault in self.faults for word in ("--fault", fault)]
        return ("lastbatch", "run", self.scenario.name, "--arm", self.arm, "--runtime", self.runtime, *sets)


def runs_tensorflow(collection: Collection) -> bool:
    """Whether any rank is known to."""
    return any(process.versions.framework == "tensorflow" for process in collection.processes)


def release_of(collection: Collection) -> str:
    """Of the job's TensorFlow; "" where no rank tells."""
    told = [p.versions.framework_version for p in collection.processes if p.versions.framework == "tensorflow"]
    return next(filter(None, told), "")


def choose(collection: Collection, diagnosis: Diagnosis, most: int, smallest: bool = False) -> Choice:
    """The arm whose hang is the job's by cause, then by who is to blame; as large as the job, as far as it takes that.

    `most` ranks; `smallest`: as few workers and servers as still hang for certain, or as likely as with all.

    Raises:
        MissingError: no cause is named, or no scenario has it.
    """
    release = release_of(collection)
    if not diagnosis.findings or diagnosis.verdict in ("none", "unknown"):
        raise MissingError(
            "no cause of this hang is named, so no scenario can be chosen",
            "lastbatch diagnose says what else to collect; lastbatch scenarios has all that there are",
        )
    finding = diagnosis.findings[0]
    known = [
        (scenario, arm.name, runtime, expected)
        for scenario in scenarios.load().values()
        if scenario.framework == "tensorflow"
        for runtime in [nearest(release, scenario.runtimes)]
        if not release or _numbers(runtime)[0] == release_numbers(release)[0]
        for arm in scenario.arms
        for expected in [_expect(scenario, arm.name, runtime)]
        if expected.hang
    ]
    same = [one for one in known if one[3].cause == finding.cause] or [
        one for one in known if one[3].truth == finding.family
    ]
    if not same:
        raise MissingError(
            f"no scenario for TensorFlow {release or 'of any release'} hangs of {finding.cause}",
            "lastbatch scenarios has all that there are",
        )
    blamed = parts_of(one.rank for one in diagnosis.culprits)
    fits = _arms_that_fit(collection, {one.rank for one in diagnosis.culprits})
    scenario, arm, runtime, _ = max(
        same, key=lambda one: (one[1] in fits.get(one[0].name, ()), parts_of([one[3].culprit]) == blamed)
    )
    given, taken = _settings(collection, scenario, most)
    choice = Choice(scenario, arm, runtime, given, (_release_words(release, runtime), *taken))
    choice = _shrunk(choice) if smallest else choice
    return _with_absent(choice, collection, diagnosis) if scenario.name == STARTUP else choice


def _with_absent(choice: Choice, collection: Collection, diagnosis: Diagnosis) -> Choice:
    """Where who is to blame has no process, nobody is started in its place either."""
    there = {process.rank for process in collection.processes}
    away = next((one.rank for one in diagnosis.culprits if one.rank not in there), "")
    alike = [rank for rank in choice.ranks if part_of(rank) == part_of(away)]
    if not alike:
        return choice
    arms = [arm.name for arm in choice.scenario.arms]
    healthy = next(arm for arm in arms if not _expect(choice.scenario, arm, choice.runtime).hang)
    said = f"{away} has no process: {alike[-1]} is not started"
    return choice._replace(arm=healthy, faults=(f"absent:{alike[-1]}",), taken=(*choice.taken, said))


def _expect(scenario: Scenario, arm: str, runtime: str) -> Expected:
    return scenario.expect(arm, parse_runtime(runtime).framework_version)


def nearest(release: str, runtimes: Sequence[str]) -> str:
    """Of these runtimes the newest that is not newer than the job's release, else the oldest."""
    wanted = release_numbers(release)[:2]
    old_first = sorted(runtimes, key=_numbers)
    not_newer = [name for name in old_first if _numbers(name) <= wanted]
    return (not_newer or old_first)[-1 if not_newer else 0]


def _numbers(runtime: str) -> tuple[int, ...]:
    return release_numbers(parse_runtime(runtime).framework_version)[:2]


def _release_words(release: str, runtime: str) -> str:
    told = f"the job runs on TensorFlow {release}" if release else "the job's release is not known"
    return f"{told}: {runtime}"


def _arms_that_fit(collection: Collection, blamed: Container[str]) -> dict[str, tuple[str, ...]]:
    """Of scenarios whose arms have the same culprit those that the evidence speaks for."""
    workers = [p for p in collection.processes if not parse(p.rank).is_server]
    runners = any(position.has(Role.QUEUE_PUT) for process in workers for position in process.positions) or any(
        "QueueRunner" in thread.name for process in workers for thread in process.threads
    )
    absent = [p for p in collection.processes if p.rank in blamed and parse(p.rank).is_server]
    serves = any(map(_serves, absent))
    return {"last-batch": ("queue",) if runners else ("dataset",), STARTUP: ("other-port",) if serves else ("held",)}


def _serves(process: Process) -> bool:
    return bool(process.listens) or any(position.has(Role.SERVE) for position in process.positions)


def _settings(collection: Collection, scenario: Scenario, most: int) -> tuple[dict[str, str], tuple[str, ...]]:
    """Settings that the evidence holds, as they would be given, and in words what was taken and from where."""
    bounds = {setting.name: setting for setting in scenario.settings}
    names = {*(p.rank for p in collection.processes), *collection.expected}
    names |= {task.rank for process in collection.processes for task in process.tasks}
    servers = sum(parse(name).is_server for name in names)
    workers = sum(parse(name).kind is RankKind.RANK and not parse(name).is_server for name in names)
    receive = receivers(collection)
    taken = [f"{plural(workers, 'worker')} and {plural(servers, 'server')}"]
    if servers and receive and len(receive) < servers:
        taken.append(f"{len(receive)} of {servers} servers receive a step: {', '.join(receive)}")
        servers = len(receive)
    wanted = _folded({WORKERS: workers, SERVERS: servers}, most)
    given = {}
    for name, number in wanted.items():
        if setting := bounds.get(name):
            fits = min(max(number, setting.least), setting.most)
            given[name] = str(fits)
            if fits != {WORKERS: workers, SERVERS: servers}[name]:
                taken.append(f"{name}={fits}: those that are alike show nothing new, or the scenario takes no other")
    if "input_on_ps" in bounds and (where := input_on_servers(collection)):
        given["input_on_ps"] = "true"
        taken.append(f"the input stands on {', '.join(where)}")
    if "batches" in bounds and (length := _epoch_length(collection)):
        given["batches"] = str(length)
        taken.append(f"{length} batches an epoch, by the recorder")
    return given, tuple(taken)


def _folded(wanted: dict[str, int], most: int) -> dict[str, int]:
    while sum(wanted.values()) > max(most, 2):
        larger = max(wanted, key=lambda name: wanted[name])
        wanted = {**wanted, larger: wanted[larger] - 1}
    return wanted


def receivers(collection: Collection) -> tuple[str, ...]:
    """Servers that take part in the step that hangs, as far as a trace or a look into memory tells; () else."""
    trace = collection.trace
    if trace is None:
        return ()
    told = {*trace.ran, *trace.did_not_run, *(call.peer for call in trace.escaped)}
    return tuple(sorted(name for name in told if parse(name).is_server))


def input_on_servers(collection: Collection) -> tuple[str, ...]:
    """Servers that make the batches, which their workers take from them."""
    return tuple(
        process.rank
        for process in collection.processes
        if parse(process.rank).is_server and any(position.has(Role.INPUT_MAKE) for position in process.positions)
    )


def _epoch_length(collection: Collection) -> int:
    lengths = [p.flight.epoch_lengths[-1] for p in collection.processes if p.flight and p.flight.epoch_lengths]
    return max(lengths, default=0)


def _shrunk(choice: Choice) -> Choice:
    """With the fewest workers, then servers, of which the same hang is expected as certainly."""
    for name in (WORKERS, SERVERS):
        setting = next((one for one in choice.scenario.settings if one.name == name), None)
        if setting is None or name not in choice.given:
            continue
        for fewer in range(setting.least, int(choice.given[name])):
            smaller = choice._replace(given={**choice.given, name: str(fewer)})
            if _kind(smaller.expected) == _kind(choice.expected):
                choice = smaller
                break
    return choice


def _kind(expected: Expected) -> tuple[object, ...]:
    return (expected.hang, expected.cause, expected.family, expected.either)


def part_of(rank: str) -> str:
    """What a rank is in its job, whatever its number: scenarios number their ranks in their own way."""
    identity = parse(rank)
    if identity.is_child:
        return part_of(identity.parent)
    if rank in CHIEFS:
        return "the chief"
    return "a server" if identity.is_server else "a worker" if identity.kind is RankKind.RANK else ""


def parts_of(ranks: Sequence[str] | Iterator[str]) -> tuple[str, ...]:
    return tuple(sorted({part for rank in ranks if (part := part_of(rank))}))


def hang_of(diagnosis: Diagnosis) -> Hang:
    """How a job of TensorFlow hangs: the same family, and the same part of the job to blame."""
    return Hang(diagnosis.verdict, parts_of(one.rank for one in diagnosis.culprits), False)
