"""Stuck jobs made small: how often what `lastbatch replay` makes of a job hangs as the job did.

    python bench/replay.py                            # 12 hangs: jobs of PyTorch and TensorFlow 1, dumps of others
    python bench/replay.py --only ddp-upload          # of these some
    python bench/replay.py /tmp/answers/*.tar.zst     # bundles or dumps of your own, each as small as it can be

Without evidence, jobs that others wrote (`tests/data/jobs`) are started and attached to first. What holds neither
collectives nor a cause that a scenario has is left out, and named.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

BENCH = Path(__file__).parent
DUMPS = BENCH.parent / "tests" / "data" / "dumps"
JOBS = (
    "groups-crossed", "ddp-upload", "rank-conditional", "ddp-barrier-thread", "newgroup-members", "fsdp-solo-eval",
    "tf1-sync-starved", "reported-tf1-queue-off", "tf1-ps-absent", "tf1-no-runners",
)  # fmt: skip
REPORTS = ("accel-3250", "verl-1158")
LEFT_OUT = ("nothing to play", "no hang to play", "does not hang", "no scenario", "no cause of this hang is named")


class Played(NamedTuple):
    """What the command said of the job and of its replay, and how long it took. `lines` of a program; 0: a scenario."""

    said: dict[str, Any]
    lines: int
    seconds: float


def replayed(evidence: Sequence[Path], folder: Path) -> Played:
    program = folder / "replay.py"
    argv = [sys.executable, "-m", "repro", "replay", *map(str, evidence), "--shrink", "--out", str(program), "--json"]
    began = time.monotonic()
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=600, cwd=BENCH.parent)
    said = json.loads(done.stdout)
    lines = len(program.read_text("utf-8").splitlines()) if "program" in said else 0
    return Played(said, lines, time.monotonic() - began)


def bundle_of(job: str, folder: Path) -> list[Path]:
    """The job is started, attached to when it stands still, and ended; () where it did not come so far."""
    argv = [sys.executable, str(BENCH / "strangers.py"), "--only", job, "--keep", str(folder), "--port", "24000"]
    subprocess.run(argv, check=False, capture_output=True, timeout=600)
    return sorted(folder.glob(f"{job}.tar.zst"))


def files_of(path: Path) -> list[Path]:
    return [one for one in sorted(path.iterdir()) if one.suffix != ".json"] if path.is_dir() else [path]


def line(name: str, played: Played) -> str:
    """A row of the table; of what cannot be played the reason."""
    said = played.said
    if "error" in said:
        return f"{name[:24]:24} {said['error'][:120]}"
    families = f"{said['job']['family'][:20]:20} {said['replayed']['family'][:20]:20}"
    groups, calls = (said.get(key, "-") for key in ("groups", "calls"))
    made = f"{played.lines} lines" if played.lines else f"{said['scenario']}/{said['arm']}"
    size = f"{said['ranks']:5} {groups:>6} {calls:>5} {made:24.24} {played.seconds:5.1f}"
    return f"{name[:24]:24} {families} {size}  {'; '.join(said['differences']) or 'the same'}"


def is_left_out(said: dict[str, Any]) -> bool:
    return any(words in said.get("error", "") for words in LEFT_OUT)


def summary(all_: Sequence[Played]) -> str:
    tried = [one for one in all_ if not is_left_out(one.said)]
    same = sum(bool(one.said.get("same")) for one in tried)
    return f"{same} of {len(tried)} hang as the job did; {len(all_) - len(tried)} left out"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("evidence", nargs="*", type=Path, help="bundles, dumps, or folders of the dumps of one job")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="of the 12 hangs these")
    options = parser.parse_args()
    names = [str(path) for path in options.evidence] or [
        name for name in (*JOBS, *REPORTS) if not options.only or name in options.only
    ]
    print(f"{'evidence':24} {'job':20} {'replay':20} {'ranks':>5} {'groups':>6} {'calls':>5} {'made':24} {'s':>5}")
    done = []
    for name in names:
        with tempfile.TemporaryDirectory() as home:
            if options.evidence:
                files = files_of(Path(name))
            else:
                files = files_of(DUMPS / name) if name in REPORTS else bundle_of(name, Path(home))
            if not files:
                print(f"{name[:24]:24} the job did not come so far", flush=True)
                continue
            played = replayed(files, Path(home))
        done.append(played)
        print(line(Path(name).name.removesuffix(".tar.zst"), played), flush=True)
    print(f"{summary(done)}\n{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    return 0 if all(one.said.get("same") or is_left_out(one.said) for one in done) else 1


if __name__ == "__main__":
    sys.exit(main())
