"""Runs the benchmarks that measure speed, each in its short form, and writes one table into docs/performance.md.

One after the other, each in a process of its own with a deadline; what fails is named in the table, and the rest goes
on. Ten minutes in all on two cores that do nothing else; the load of the machine is in the table.

    python bench/all.py --log speed.jsonl              # called again it goes on where it was stopped
    python bench/all.py --only merge recorder          # prints a table of these, leaves the page as it is
    python bench/all.py --log speed.jsonl --table      # runs nothing, writes the page from the log
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from speed_figures import BENCHES, Bench, Figure

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "performance.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
PATIENCE = 15.0
"""Seconds that a bench has to end what it started, once it is told to end."""


class Machine(msgspec.Struct, frozen=True):
    cores: int
    cpu: str
    gigabytes: int
    kernel: str
    python: str

    def __str__(self) -> str:
        return f"{self.cores} cores ({self.cpu}), {self.gigabytes} GB, Linux {self.kernel}, CPython {self.python}"


class Row(msgspec.Struct, frozen=True):
    """What came of a bench. `load`: of the machine when it began; `failed`: why there are no figures."""

    bench: str
    argv: tuple[str, ...]
    began: str
    commit: str
    machine: Machine
    load: float
    seconds: float
    figures: tuple[Figure, ...] = ()
    failed: str = ""


def chosen(names: Sequence[str]) -> list[Bench]:
    """All, if none is named; else those that have one of the names in theirs.

    Raises:
        SystemExit: a name fits none.
    """
    for name in names:
        if not any(name in bench.name for bench in BENCHES):
            sys.exit(f"no bench has {name!r} in its name; --list shows them")
    return [bench for bench in BENCHES if not names or any(name in bench.name for name in names)]


def left_to_run(benches: Sequence[Bench], rows: Sequence[Row]) -> list[Bench]:
    """Those without figures in the log: what failed is tried again, and what is measured otherwise now."""
    done = {(row.bench, row.argv) for row in rows if not row.failed}
    return [bench for bench in benches if (bench.name, bench.argv) not in done]


def newest(benches: Sequence[Bench], rows: Sequence[Row]) -> list[Row]:
    """The last row of each bench, in the order of the benches."""
    last = {row.bench: row for row in rows}
    return [last[bench.name] for bench in benches if bench.name in last]


def number(value: float) -> str:
    """Three digits that count, without an exponent."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def ratio(value: float, reference: float) -> str:
    return f"{value / reference:.2f}" if abs(value) >= abs(reference) / 100 else f"{value / reference:.2g}"


def table(rows: Sequence[Row]) -> str:
    """Markdown: when and where, then a line a figure."""
    if not rows:
        return "Nothing has been measured."
    commits = ", ".join(dict.fromkeys(row.commit for row in rows))
    days = ", ".join(dict.fromkeys(row.began[:10] for row in rows))
    loads = [row.load for row in rows]
    head = [
        f"Measured on {days}, commit {commits}. {machine}." for machine in dict.fromkeys(row.machine for row in rows)
    ]
    head.append(f"Load average when a bench began: {min(loads):.1f} to {max(loads):.1f}; {_noise(rows)}.")
    lines = [*head, "", "| what | figure | compared with | ratio | load | bench |", "|---|---:|---|---:|---:|---|"]
    for row in rows:
        script = f"`{_script(row.bench)}`"
        if row.failed:
            lines.append(f"| {row.bench} | **failed** | {_cell(row.failed)} | | {row.load:.1f} | {script} |")
        lines += [_line(figure, f"{row.load:.1f} | {script} |") for figure in row.figures]
    return "\n".join(lines)


def _noise(rows: Sequence[Row]) -> str:
    busy = sum(row.load > 0.5 * row.machine.cores for row in rows)
    return (
        f"{busy} of {len(rows)} began while more than half of the cores had other work" if busy else "a quiet machine"
    )


def _line(figure: Figure, rest: str) -> str:
    than = f"{figure.than}: {number(figure.reference)} {figure.unit}" if figure.reference else ""
    share = ratio(figure.value, figure.reference) if figure.reference else ""
    return f"| {figure.what} | {number(figure.value)} {figure.unit} | {than} | {share} | {rest}"


def _script(name: str) -> str:
    return next((Path(bench.argv[0]).stem for bench in BENCHES if bench.name == name), name)


def _cell(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ")[:200]


def written(page: str, text: str) -> str:
    """The page with `text` between its two markers; the prose around stays.

    Raises:
        ValueError: the page lacks the markers.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page needs a line {BEGIN} and a line {END}")
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def run(bench: Bench, commit: str, machine: Machine) -> Row:
    """Whatever it does, there is a row."""
    began, load = time.monotonic(), os.getloadavg()[0]

    def row(figures: Sequence[Figure] = (), failed: str = "") -> Row:
        return Row(
            bench.name, bench.argv, datetime.now(UTC).isoformat(timespec="seconds"), commit, machine, round(load, 2),
            round(time.monotonic() - began, 1), tuple(figures), failed,
        )  # fmt: skip

    with tempfile.TemporaryDirectory(prefix="lastbatch-bench-") as home:
        words = [word.replace("{home}", home) for word in bench.argv]
        with subprocess.Popen(
            [sys.executable, str(HERE / words[0]), *words[1:]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, cwd=home, start_new_session=True, text=True, errors="replace",
        ) as child:  # fmt: skip
            try:
                output, errors = child.communicate(timeout=bench.deadline)
            except subprocess.TimeoutExpired:
                _end(child)
                return row(failed=f"not done within {bench.deadline:.0f} s")
            except BaseException:
                _end(child)
                raise
    if child.returncode:
        said = [line for line in errors.splitlines() if line.strip()]
        return row(failed=said[-1].strip() if said else f"ended with {child.returncode}")
    try:
        return row(bench.figures(msgspec.json.decode(output)))
    except (msgspec.DecodeError, LookupError, TypeError, ValueError, StopIteration) as error:
        return row(failed=f"its answer cannot be read: {error!r}")


def _end(child: subprocess.Popen[str]) -> None:
    """Told to end first, so that it can end what it started."""
    for number_, patience in ((signal.SIGINT, PATIENCE), (signal.SIGKILL, None)):
        try:
            os.killpg(child.pid, number_)
            child.communicate(timeout=patience)
            return
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def machine_here() -> Machine:
    models = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cores, kernel = len(os.sched_getaffinity(0)), ".".join(platform.release().split(".")[:2])
    return Machine(
        cores, models[0] if models else platform.machine(), round(memory / 1e9), kernel,
        platform.python_version(),
    )  # fmt: skip


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(errors="replace").splitlines()
    except OSError:
        return []


def commit_here() -> str:
    """With a plus where files differ from it."""
    asked = ("rev-parse", "--short", "HEAD"), ("status", "--porcelain", "--untracked-files=no")
    said = [
        subprocess.run(["git", *words], cwd=HERE, capture_output=True, text=True, check=False).stdout.strip()
        for words in asked
    ]
    return said[0] + ("+" if said[1] else "") or "unknown"


def kept(log: Path | None) -> list[Row]:
    lines = log.read_bytes().splitlines() if log and log.exists() else []
    return [msgspec.json.decode(line, type=Row) for line in lines]


def tell(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def run_all(benches: Sequence[Bench], rows: list[Row], log: Path | None) -> list[Row]:
    left, machine = left_to_run(benches, rows), machine_here()
    for place, bench in enumerate(left, 1):
        tell(f"{place} of {len(left)}: {bench.name}, {bench.deadline:.0f} s at most")
        row = run(bench, commit_here(), machine)
        rows.append(row)
        if log:
            with log.open("ab") as file:
                file.write(msgspec.json.encode(row) + b"\n")
        tell(f"    {row.seconds:.0f} s, " + (f"FAILED: {row.failed}" if row.failed else f"{len(row.figures)} figures"))
    return newest(benches, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="benches, or parts of their names")
    parser.add_argument("--log", type=Path, metavar="FILE", help="a JSON line a bench; what it holds is not run again")
    parser.add_argument("--table", action="store_true", help="run nothing, take what --log holds")
    parser.add_argument("--page", type=Path, default=PAGE, metavar="FILE", help="where the table is written")
    parser.add_argument("--json", action="store_true", help="all rows as one document instead of the table")
    parser.add_argument("--list", action="store_true", help="only show the benches")
    asked = parser.parse_args()
    benches = chosen(asked.only)
    if asked.list:
        for bench in benches:
            print(f"{bench.name:20} {bench.deadline:4.0f} s at most   python bench/{shlex.join(bench.argv)}")
        return
    if asked.table and not asked.log:
        parser.error("--table needs a --log to take the figures from")
    rows = newest(benches, kept(asked.log)) if asked.table else run_all(benches, kept(asked.log), asked.log)
    print(msgspec.json.encode(rows).decode() if asked.json else table(rows))
    if not asked.only:
        asked.page.write_text(written(asked.page.read_text(), table(rows)))
        tell(f"written: {asked.page}")
    sys.exit(1 if any(row.failed for row in rows) else 0)


if __name__ == "__main__":
    main()
