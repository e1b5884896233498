"""Stuck jobs as small programs: how often the program that `lastbatch replay` writes hangs as the job did.

    python bench/strangers.py --keep /tmp/answers     # bundles of stuck jobs
    python bench/replay.py /tmp/answers/*.tar.zst     # each played again, as small as it can be

What holds no collectives is left out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def replayed(evidence: list[Path], folder: Path) -> tuple[dict[str, Any], int]:
    """What the command said, and how many lines its program has."""
    program = folder / "replay.py"
    argv = [sys.executable, "-m", "repro", "replay", *map(str, evidence), "--shrink", "--out", str(program), "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=600)
    said = json.loads(done.stdout)
    return said, len(program.read_text("utf-8").splitlines()) if "program" in said else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("evidence", nargs="+", type=Path, help="bundles, dumps, or folders of the dumps of one job")
    same = tried = 0
    print(f"{'evidence':24} {'job':20} {'program':20} {'ranks':>5} {'groups':>6} {'calls':>5} {'lines':>5} {'s':>5}")
    for path in parser.parse_args().evidence:
        files = [one for one in sorted(path.iterdir()) if one.suffix != ".json"] if path.is_dir() else [path]
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            said, lines = replayed(files, Path(folder))
        name = path.name.removesuffix(".tar.zst")
        if "error" in said:
            if not any(words in said["error"] for words in ("nothing to play", "no hang to play", "does not hang")):
                tried += 1
                print(f"{name[:28]:28} {said['error']}")
            continue
        tried, same = tried + 1, same + said["same"]
        families = f"{said['job']['family'][:20]:20} {said['replayed']['family'][:20]:20}"
        size = f"{said['ranks']:5} {said['groups']:6} {said['calls']:5} {lines:5} {time.monotonic() - began:5.1f}"
        print(f"{name[:24]:24} {families} {size}  {'; '.join(said['differences'])}", flush=True)
    print(f"{same} of {tried} hang as the job did")
    return 0 if same == tried else 1


if __name__ == "__main__":
    sys.exit(main())
