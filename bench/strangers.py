"""Programs of strangers: what the diagnosis says of jobs that were written without knowledge of its rules.

Each folder of `tests/data/jobs` holds a small job as somebody would write it, and `truth.json` (`Truth`) with how it is
started and what is wrong with it. Every job is started, waited for until it stands still (a healthy one: until it says
that it looks stuck), attached to by process ids alone, and compared.

    python bench/strangers.py                          # all, one after the other
    python bench/strangers.py --only pool-killed flock --keep /tmp/answers
    python bench/strangers.py --together --only pipe   # quicker: all of these are started at once
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from stranger_jobs import (
    JOBS,
    Guilty,
    NotReady,
    Running,
    Truth,
    become_reaper,
    bring_up,
    end_descendants,
    free_ports,
    jobs,
    kill_leftovers,
    start,
)

from diagnostics.errors import LastbatchError

CALM = ("none", "slow", "unknown")


class Row(msgspec.Struct, frozen=True):
    """What was said of one job. `hang` is `seen`, `missed`, `undecided`, `calm` or `FALSE`; the others are `right`,
    `among` (named, but not first), `wrong`, `none` (nothing said), `-` (not asked)."""

    job: str
    truth: str
    said: str
    hang: str
    culprit: str
    function: str
    family: str
    since: str
    seconds: float
    detail: str = ""


def attach(pids: Sequence[int], bundle: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "repro", "attach", *map(str, pids), "--json", "--out", str(bundle)],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, cwd=bundle.parent, timeout=300,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    )  # fmt: skip
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        answer = {}
    if "verdict" not in answer:
        raise LastbatchError(f"attach gave no answer ({done.returncode})", (done.stdout + done.stderr)[-2000:])
    return answer


def hang_of(truth: Truth, answer: dict[str, Any]) -> str:
    hung = answer["hung"] if "hung" in answer else answer["verdict"] not in CALM
    if truth.hangs:
        return "seen" if hung else "undecided" if hung is None or answer["verdict"] == "unknown" else "missed"
    return "FALSE" if hung else "calm" if hung is False else "undecided"


def pid_of(guilty: Guilty, job: Running) -> int:
    if guilty.process >= len(job.processes):
        return -1  # never started
    if not guilty.child:
        return job.processes[guilty.process].pid
    match = re.search(guilty.child, job.text(guilty.process))
    return int(match[1]) if match else -1


def is_it(guilty: Guilty, job: Running, culprit: dict[str, Any]) -> bool:
    return culprit["pid"] == pid_of(guilty, job) or culprit["rank"] in guilty.rank


def place(position: dict[str, Any] | None) -> str:
    return str((position or {}).get("function", ""))


def has_function(wanted: tuple[str, ...], said: str) -> bool:
    return any(said == name or said.endswith((f".{name}", f"::{name}")) for name in wanted)


def compare(name: str, truth: Truth, job: Running, answer: dict[str, Any], began: float, ended: float) -> Row:
    """`began` and `ended`: wall time of the attach."""
    said = answer["verdict"]
    fine = (truth.family, *truth.also_fine)
    family = "right" if said in fine else "none" if said in CALM else "wrong"
    row = Row(name, truth.family, said, hang_of(truth, answer), "-", "-", family, "-", ended - began)
    if not truth.hangs:
        ok = said in (*CALM, *truth.also_fine)
        return msgspec.structs.replace(row, family="right" if said in fine else "none" if ok else "wrong")
    culprits: list[dict[str, Any]] = answer.get("culprits") or []
    hits = [(n, c, g) for n, c in enumerate(culprits) for g in truth.culprit if is_it(g, job, c)]
    culprit = "none" if not culprits else "wrong" if not hits else "among" if hits[0][0] else "right"
    wanted = [g.function for g in truth.culprit if g.function]
    function, detail = "-", ""
    if wanted:
        said_at = [place(c.get("position")) for _, c, _ in hits if place(c.get("position"))]
        known = any(has_function(w, at) for w in wanted for at in said_at)
        function = "right" if known else f"{said_at[0]}?" if said_at else "none"
    if match := re.search(truth.since, job.text()) if truth.since else None:
        detail, since = since_of(truth, job, answer, began - float(match[1]), ended - float(match[1]))
        row = msgspec.structs.replace(row, since=since)
    return msgspec.structs.replace(row, culprit=culprit, function=function, detail=detail)


def since_of(truth: Truth, job: Running, answer: dict[str, Any], least: float, most: float) -> tuple[str, str]:
    """It has hung for between `least` and `most` seconds; 1 s or 5 % more or less is right.

    Where the culprit has no process any more, those who wait for it are asked.
    """
    pids = {pid_of(guilty, job) for guilty in truth.culprit} & {row["pid"] for row in answer["ranks"]}
    pids = pids or {row["pid"] for row in answer["ranks"]}
    said = [row.get("since_s", -1) for row in answer["ranks"] if row["pid"] in pids]
    said += [(c.get("position") or {}).get("since_s", -1) for c in answer.get("culprits") or [] if c["pid"] in pids]
    said = [value for value in said if value is not None and value >= 0]
    if not said:
        return "", "none"
    slack = max(1.0, 0.05 * most)
    right = any(least - slack <= value <= most + slack for value in said)
    return ("", "right") if right else (f"since {said[0]:.1f} s, not {least:.1f}", "wrong")


class Started(NamedTuple):
    """A job that was brought up, or why it was not."""

    name: str
    truth: Truth
    tmp: Path
    job: Running | None
    failed: Exception | None = None


def brought_up(name: str, truth: Truth, port: int) -> Started:
    tmp, job = Path(tempfile.mkdtemp(prefix="stranger-")), None
    try:
        job = start(name, truth, tmp, port)
        bring_up(truth, job)
    except (LastbatchError, subprocess.SubprocessError) as error:
        return Started(name, truth, tmp, job, error)
    return Started(name, truth, tmp, job)


def judge(names: Sequence[str], known: Mapping[str, Truth], ports: Iterator[int], keep: Path | None) -> Iterator[Row]:
    """Start all of these at once. They are ended whatever happens.

    A healthy one is attached to while it looks stuck, those that hang one after the other when all stand still.
    """
    started: list[Started] = []

    def meet(name: str, port: int) -> Row | None:
        one = brought_up(name, known[name], port)
        started.append(one)
        return None if one.truth.hangs else asked(one, keep)

    try:
        with ThreadPoolExecutor(len(names)) as pool:
            rows = list(pool.map(meet, names, [next(ports) for _ in names]))
        yield from filter(None, rows)
        for one in started:
            if one.truth.hangs:
                yield asked(one, keep)
    finally:
        end_descendants()
        for one in started:
            shutil.rmtree(one.tmp, ignore_errors=True)


def asked(started: Started, keep: Path | None) -> Row:
    name, truth, tmp, job, failed = started
    try:
        if failed or job is None:
            raise failed or NotReady("not started")
        pids = [job.processes[number].pid for number in truth.attach or range(len(truth.start))]
        began = time.time()
        answer = attach(pids, tmp / "job.tar.zst")
        row = compare(name, truth, job, answer, began, time.time())
        if keep:
            keep.mkdir(parents=True, exist_ok=True)
            (keep / f"{name}.json").write_text(json.dumps(answer, indent=1))
            (keep / f"{name}.txt").write_text(f"{pids}\n{job.text()[-20000:]}")
            if (tmp / "job.tar.zst").exists():
                shutil.copy(tmp / "job.tar.zst", keep / f"{name}.tar.zst")
        return row
    except (LastbatchError, subprocess.SubprocessError) as error:
        hang = "not run" if isinstance(error, NotReady | subprocess.SubprocessError) else "FAILED"
        return Row(name, truth.family, "", hang, "-", "-", "-", "-", 0.0, str(error)[-600:])


COLUMNS = "{:24.24} {:20.20} {:20.20} {:10} {:8} {:22.22} {:7} {:6} {:5.1f}  {}"


def line(row: Row) -> str:
    return COLUMNS.format(
        row.job, row.truth, row.said, row.hang, row.culprit, row.function, row.family, row.since, row.seconds,
        row.detail,
    )  # fmt: skip


def summary(rows: Sequence[Row]) -> str:
    ran = [row for row in rows if row.hang != "not run"]
    hanging, calm = [r for r in ran if r.truth != "none"], [r for r in ran if r.truth == "none"]

    def share(field: str, value: str, among: Sequence[Row]) -> str:
        asked = [row for row in among if getattr(row, field) != "-"]
        return f"{sum(getattr(row, field) == value for row in asked)} of {len(asked)}"

    return "\n".join(
        [
            f"hang seen {share('hang', 'seen', hanging)}, healthy called hung {share('hang', 'FALSE', calm)}",
            f"culprit {share('culprit', 'right', hanging)}, its function {share('function', 'right', hanging)}, "
            f"since when {share('since', 'right', hanging)}",
            f"family right {share('family', 'right', hanging)}, wrong {share('family', 'wrong', hanging)}; "
            f"of the healthy right {share('family', 'right', calm)}",
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="jobs, or parts of their names")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep every answer, output and bundle there")
    parser.add_argument("--port", type=int, default=23000, help="use loopback ports from this one on")
    parser.add_argument("--kill-leftovers", action="store_true", help="end what a killed run has left, first")
    parser.add_argument("--after", default="", metavar="NAME", help="only jobs that come after this one")
    parser.add_argument("--together", action="store_true", help="start all at once: quicker, for a few")
    parser.add_argument("--list", action="store_true", help="only show the jobs")
    arguments = parser.parse_args()
    chosen = {n: truth for n, truth in jobs().items() if n > arguments.after and _is_meant(n, arguments.only)}
    if arguments.list:
        for name, truth in chosen.items():
            print(f"{name:26} {truth.family:22} {truth.story}")
        return 0
    if arguments.kill_leftovers:
        kill_leftovers()
    become_reaper()
    ports, rows = free_ports(arguments.port), []
    titles = ("job", "truth", "said", "hang", "culprit", "function", "family", "since")
    print(COLUMNS.replace("{:5.1f}", "{:>5}").format(*titles, "s", ""))
    for names in [list(chosen)] if arguments.together else [[name] for name in chosen]:
        for row in judge(names, chosen, ports, arguments.keep):
            rows.append(row)
            print(line(row), flush=True)
            if arguments.json:
                arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(rows)))
    print(summary(rows))
    return 0


def _is_meant(name: str, words: Sequence[str]) -> bool:
    """A word that is a job's whole name means that job alone."""
    return not words or name in words or any(word in name for word in words if not (JOBS / word).is_dir())


if __name__ == "__main__":
    sys.exit(main())
