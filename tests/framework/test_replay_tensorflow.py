"""A stuck TensorFlow job that others wrote hangs again, as a scenario of the zoo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from repro.runtimes import Runtime

BUNDLE = Path(__file__).parents[1] / "data" / "replay" / "sync-starved.tar.zst"


def test_a_starved_synchronous_job_hangs_again(runtime: Callable[[str], Runtime], tmp_path: Path) -> None:
    """WHEN the bundle of a job that others wrote is replayed, THEN a scenario is run that hangs alike."""
    runtime("tf1.12")
    argv = [sys.executable, "-m", "repro", "replay", str(BUNDLE), "--json"]
    environment = {**os.environ, "NO_COLOR": "1", "TMPDIR": str(tmp_path)}
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, env=environment)
    said = json.loads(done.stdout)
    assert said.get("same"), (said, done.stderr)
    assert said["scenario"] == "sync-starved" and said["replayed"]["culprits"] == ["a worker"]
    assert not list(tmp_path.glob("lastbatch-replay-*"))
