"""A benchmark of hangs that anybody can enter: stuck programs with what is true of them, and tools that look at them.

Three kinds of programs: jobs that others wrote (`tests/data/jobs`), arms of the zoo (`repro/scenarios`), and reports
that others made with dumps and logs (`tests/data/dumps`). Every tool (`bench/hang_tools`) answers in one form and is
scored alike. All tools look at the same run of a program, one after the other; those that need a preparation at a
second run that has it.

    python bench/hangs.py --log hangs.jsonl                          # all; goes on where it was stopped
    python bench/hangs.py --only flock-held rank-conditional --tools lastbatch py-spy
    python bench/hangs.py --tools 'mine=/usr/bin/mytool --answer'    # yours: process ids as arguments, one JSON line
    python bench/hangs.py --log hangs.jsonl --table
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import dumps
import msgspec
import stranger_jobs as strangers
import zoo
from hang_tools import TOOLS, chosen
from hang_tools.form import Answer, Dumps, Job, Tool, nothing
from strangers import has_function, pid_of

from diagnostics.discover.scan import descendants_of
from diagnostics.errors import LastbatchError
from repro import scenarios
from repro.runtimes import ensure
from repro.scenario import Scenario

PREPARED = Path(__file__).parent / "hang_tools" / "prepared"
KINDS = ("jobs", "zoo", "dumps")
OFTEN = 0.005
FAILURES = (LastbatchError, subprocess.SubprocessError, OSError, ValueError)
"""Of a tool, which has then said nothing, or of a program, which is then tried again."""


class Known(NamedTuple):
    """What is true of a program. `families` are fine; `culprits`: each by any of its names, the functions it stands in;
    () where nobody alone holds all up or nobody knows. `hangs` is None where only the family is known."""

    program: str
    families: frozenset[str]
    hangs: bool | None
    culprits: tuple[tuple[frozenset[int | str], tuple[str, ...]], ...] = ()


class Score(msgspec.Struct, frozen=True):
    """`hang`: `seen`, `missed`, `undecided`; of a healthy one `calm`, `FALSE`, `undecided`. The others: `right`,
    `among` (named, not first), `wrong`, `none` (nothing said), `-` (nothing to say)."""

    hang: str
    family: str
    culprit: str
    function: str


class Row(msgspec.Struct, frozen=True):
    """A line of the log."""

    answer: Answer
    score: Score
    families: tuple[str, ...]


def scored(known: Known, answer: Answer) -> Score:
    said, healthy = answer.family, known.hangs is False
    family = "right" if said in known.families else "none" if not said else "wrong"
    if known.hangs is None:
        hang = "-"
    elif answer.hung is None:
        hang = "undecided"
    elif healthy:
        hang = "FALSE" if answer.hung else "calm"
    else:
        hang = "seen" if answer.hung else "missed"
    if healthy:
        family = "none" if not said else family
        return Score(hang, family, "-", "-")
    if not known.culprits:
        return Score(hang, family, "-", "-")
    hits = [(at, who) for at, who in enumerate(answer.culprit) if any(who in names for names, _ in known.culprits)]
    culprit = "none" if not answer.culprit else "wrong" if not hits else "among" if hits[0][0] else "right"
    wanted = [functions for _, functions in known.culprits if functions]
    function = "-"
    if wanted:
        there = any(has_function(functions, answer.function) for functions in wanted)
        function = "none" if not answer.function else "right" if hits and there else "wrong"
    return Score(hang, family, culprit, function)


class Pauses:
    """From outside: the longest time for which a main thread was seen stopped, while the block runs; in seconds."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids, self._over, self.longest = pids, threading.Event(), 0.0
        self._stopped: dict[int, float] = {}
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Pauses:
        self._before = {pid for pid in self._pids if self._is_stopped(pid)}  # the program stopped it itself
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _is_stopped(self, pid: int) -> bool:
        with suppress(OSError, IndexError):
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in ("t", "T")
        return False

    def _watch(self) -> None:
        while not self._over.wait(OFTEN):
            now = time.monotonic()
            for pid in self._pids:
                if pid not in self._before and self._is_stopped(pid):
                    self.longest = max(self.longest, now - self._stopped.setdefault(pid, now) + OFTEN)
                else:
                    self._stopped.pop(pid, None)


def asked(tool: Tool, job: Job, program: str) -> Answer:
    """The tool's answer, with what only the bench can measure."""
    began = time.monotonic()
    with Pauses(list(job.everyone)) as pauses:
        try:
            answer = tool.live(job) if tool.live else nothing("it looks at no process")
        except FAILURES as error:
            answer = nothing(f"{type(error).__name__}: {error}"[:300])
    seconds = round(time.monotonic() - began, 2)
    return msgspec.structs.replace(
        answer, program=program, tool=tool.name, seconds=seconds, pause_s=round(pauses.longest, 3)
    )


def with_launcher(pids: Sequence[int]) -> dict[int, int]:
    """These and all below them, each with its parent; 0 where that is none of these."""
    below = descendants_of(set(pids))
    parents = {}
    for pid in {*pids, *below}:
        with suppress(OSError, ValueError, IndexError):
            parents[pid] = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return parents


@contextmanager
def preparation(folder: Path, prepared: bool) -> Iterator[dict[str, str]]:
    """What jobs inherit while the block runs, where they are to be prepared; returned is what must be added."""
    if not prepared:
        yield {}
        return
    told = {"HANGS_FOLDER": str(folder), "TORCH_FR_BUFFER_SIZE": "2000"}
    os.environ.update(told)
    try:
        yield {"PYTHONPATH": str(PREPARED)}
    finally:
        for name in told:
            os.environ.pop(name, None)


def of_job(name: str, tools: Sequence[Tool], port: int, folder: Path, prepared: bool) -> Iterator[Row]:
    """A job of others, brought up once, with all these tools in turn."""
    truth = strangers.jobs()[name]
    is_torch = any("{python:torch}" in word for command in truth.start for word in command)
    with preparation(folder, prepared) as more:
        running = strangers.start(name, truth, folder, port, more)
    strangers.bring_up(truth, running)
    pids = tuple(running.processes[number].pid for number in truth.attach or range(len(truth.start)))
    culprits = tuple(
        (frozenset[int | str]({pid_of(guilty, running), *guilty.rank}), guilty.function) for guilty in truth.culprit
    )
    known = Known(name, frozenset({truth.family, *truth.also_fine}), truth.hangs, culprits)
    torch = str(ensure("torch").python) if is_torch else ""
    for tool in tools:
        answer = asked(tool, Job(pids, with_launcher(pids), folder, torch), name)
        yield Row(answer, scored(known, answer), (truth.family, *truth.also_fine))


def of_arm(scenario: Scenario, arm: str, tools: Sequence[Tool], folder: Path, prepared: bool) -> Iterator[Row]:
    """An arm of the zoo, brought up once, with all these tools in turn."""
    expected = scenario.expect(arm, ensure(scenario.default_runtime).framework_version)
    name = f"{scenario.name}/{arm}"
    path = [PREPARED] if prepared else []
    with (
        preparation(folder, prepared),
        zoo.at_its_hang(scenario, arm, expected, False, folder / "job", path) as cluster,
    ):
        pids = tuple(zoo.still_there(cluster))
        below = descendants_of(set(pids))
        names: set[int | str] = {expected.culprit}
        for member in cluster.members:
            if member.rank == expected.culprit:
                names |= {member.pid, *(pid for pid, above in below.items() if above == member.pid)}
        culprits = ((frozenset(names), ()),) if expected.culprit else ()
        known = Known(name, frozenset({expected.truth}), expected.truth != "none", culprits)
        runtime = ensure(scenario.default_runtime)
        torch = str(runtime.python) if scenario.framework == "torch" else ""
        for tool in tools:
            answer = asked(tool, Job(pids, with_launcher(pids), folder, torch), name)
            yield Row(answer, scored(known, answer), (expected.truth,))


def of_dumps(case: Path, tools: Sequence[Tool]) -> Iterator[Row]:
    """A report of others: only its family is known for certain."""
    families = dumps.fine(case) - {"unknown"}
    known = Known(f"dumps/{case.name}", frozenset(families), None)
    files = tuple(path for path in sorted(case.iterdir()) if path.name != "expected.json")
    for tool in tools:
        began = time.monotonic()
        try:
            answer = tool.offline(Dumps(files)) if tool.offline else nothing("it reads no dumps of others")
        except FAILURES as error:
            answer = nothing(f"{type(error).__name__}: {error}"[:300])
        seconds = round(time.monotonic() - began, 2)
        answer = msgspec.structs.replace(answer, program=known.program, tool=tool.name, seconds=seconds)
        yield Row(answer, scored(known, answer), tuple(sorted(families)))


class Entry(NamedTuple):
    """A program of the data set."""

    kind: str
    name: str


def entries(kinds: Sequence[str], only: Sequence[str]) -> list[Entry]:
    """`only`: names, or parts of names; a word that is a whole name means that one alone."""
    found = [Entry("jobs", name) for name in strangers.jobs()] if "jobs" in kinds else []
    if "zoo" in kinds:
        found += [
            Entry("zoo", f"{scenario.name}/{arm}")
            for scenario, arm, _ in zoo.arms([word.partition("/")[0] for word in only if "/" in word])
        ]
    if "dumps" in kinds:
        found += [Entry("dumps", f"dumps/{path.parent.name}") for path in sorted(dumps.HOME.glob("*/expected.json"))]
    names = {one.name for one in found}
    return [
        one
        for one in found
        if not only or one.name in only or any(word in one.name for word in only if word not in names)
    ]


def looked_at(entry: Entry, tools: Sequence[Tool], ports: Iterator[int]) -> Iterator[Row]:
    """Every tool's row; a run of its own for those that need a preparation. Nothing of it is left."""
    if entry.kind == "dumps":
        yield from of_dumps(dumps.HOME / entry.name.partition("/")[2], tools)
        return
    for prepared in (False, True):
        some = [tool for tool in tools if tool.prepared == prepared]
        if not some:
            continue
        folder = Path(tempfile.mkdtemp(prefix="hangs-"))
        try:
            if entry.kind == "jobs":
                yield from of_job(entry.name, some, next(ports), folder, prepared)
            else:
                scenario, _, arm = entry.name.partition("/")
                yield from of_arm(scenarios.load()[scenario], arm, some, folder, prepared)
        finally:
            strangers.end_descendants()
            shutil.rmtree(folder, ignore_errors=True)


def table(rows: Sequence[Row]) -> str:
    """Markdown. Of `hang`: hangs seen, healthy ones called hung; shares of those where there is something to say."""
    lines = [
        "| tool | programs | hangs seen | healthy called hung | family right | wrong | culprit right | among | wrong "
        "| function right | abstained | seconds, median | pause, longest |",
        "|" + "---|" * 13,
    ]
    for tool in dict.fromkeys([*(one.name for one in TOOLS), *(row.answer.tool for row in rows)]):
        own = [row for row in rows if row.answer.tool == tool]
        if own:
            lines.append(_line(tool, own))
    return "\n".join(lines)


def _line(tool: str, rows: Sequence[Row]) -> str:
    hanging = [row for row in rows if row.score.hang not in ("calm", "FALSE") and "none" not in row.families]
    healthy = [row for row in rows if row not in hanging]

    def share(field: str, value: str, among: Sequence[Row]) -> str:
        counted = [row for row in among if getattr(row.score, field) != "-"]
        return f"{sum(getattr(row.score, field) == value for row in counted)} of {len(counted)}"

    named = [row for row in hanging if row.families]
    seconds = sorted(row.answer.seconds for row in rows if not row.answer.why) or [0.0]
    pause = max(row.answer.pause_s for row in rows)
    cells = [
        tool, str(len(rows)), share("hang", "seen", hanging), share("hang", "FALSE", healthy),
        share("family", "right", named), share("family", "wrong", rows), share("culprit", "right", hanging),
        share("culprit", "among", hanging), share("culprit", "wrong", hanging), share("function", "right", hanging),
        str(sum(row.answer.abstained for row in rows)), f"{seconds[len(seconds) // 2]:.1f}",
        f"{pause:.2f} s" if pause >= 0 else "-",
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def only_one(rows: Sequence[Row], tool: str = "lastbatch") -> str:
    """The hangs whose family or culprit this tool alone got right."""
    right: dict[str, set[str]] = {}
    for row in rows:
        if row.score.family == "right" or row.score.culprit == "right":
            right.setdefault(row.answer.program, set()).add(row.answer.tool)
    names = sorted(program for program, tools in right.items() if tools == {tool})
    return f"Right by {tool} alone ({len(names)}): {', '.join(names)}"


def line(row: Row) -> str:
    answer, score = row.answer, row.score
    culprits = ", ".join(map(str, answer.culprit[:3])) or "nobody"
    return (
        f"{answer.program:24.24} {answer.tool:14} {score.hang:10} {answer.family or '-':20.20} {score.family:6} "
        f"{score.culprit:6} {score.function:6} {answer.seconds:5.1f} s {culprits} {answer.function} {answer.why}"
    )


def read(log: Path | None) -> list[Row]:
    if log is None or not log.exists():
        return []
    return [msgspec.json.decode(part, type=Row) for part in log.read_bytes().splitlines()]


def missing(entry: Entry, tools: Sequence[Tool], had: Mapping[tuple[str, str], Row]) -> list[Tool]:
    return [tool for tool in tools if (entry.name, tool.name) not in had]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="programs, or parts of their names")
    parser.add_argument("--kinds", nargs="*", default=KINDS, choices=KINDS, help="all, if none is named")
    parser.add_argument(
        "--tools", "--adapters", nargs="*", default=[], metavar="NAME",
        help=f"of {', '.join(one.name for one in TOOLS)}, or NAME=COMMAND for one of yours",
    )  # fmt: skip
    parser.add_argument("--log", type=Path, metavar="FILE", help="a JSON line a row; what it holds is not run again")
    parser.add_argument("--port", type=int, default=23000, help="use loopback ports from this one on")
    parser.add_argument("--table", action="store_true", help="run nothing, print what --log holds")
    parser.add_argument("--list", action="store_true", help="only show the programs")
    options = parser.parse_args()
    try:
        tools = chosen(options.tools)
    except KeyError as error:
        parser.error(f"no tool {error}; give a name of the help, or NAME=COMMAND")
    rows = read(options.log)
    had = {(row.answer.program, row.answer.tool): row for row in rows}
    wanted = [] if options.table else entries(options.kinds, options.only)
    if options.list:
        print("\n".join(f"{entry.kind:6} {entry.name}" for entry in wanted))
        return 0
    strangers.become_reaper()
    ports = strangers.free_ports(options.port)
    for entry in wanted:
        try:
            for row in looked_at(entry, missing(entry, tools, had), ports):
                rows.append(row)
                print(line(row), flush=True)
                if options.log:
                    with options.log.open("ab") as file:
                        file.write(msgspec.json.encode(row) + b"\n")
        except FAILURES as error:  # it did not come up: the next call tries it again
            print(f"failed {entry.name}: {' '.join(str(error).split())[:300]}", flush=True)
    print(f"\n{table(rows)}\n\n{only_one(rows)}\n")
    print(f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
