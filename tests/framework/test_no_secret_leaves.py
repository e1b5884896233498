"""Secrets planted wherever evidence comes from are in nothing that attach writes or says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import zstandard
from conftest import Answer, wait_for

from diagnostics.redact import redact_text

Call = Callable[..., Answer]

SECRETS = {
    "log": "ghp_Ab3dEf7hIj1kLm5nOp9qRs2tUv6wXy4zQ8rT",
    "flag": "hunter2-horse-battery",
    "url": "s3cr3tPassw0rd",
    "environment": "wJalrXUtnFEMIK7MDENGbPxRfiCYzzEXAMPLEKEY",
}

LEAKY = """
import sys, time
print("token=" + sys.argv[1]); sys.stdout.flush()
print("ready"); sys.stdout.flush()
time.sleep(600)
"""


def test_no_secret_leaves(lastbatch: Call, tmp_path: Path) -> None:
    """GIVEN secrets in a job's environment, command line and log, THEN bundle, list, report and output have none."""
    log = tmp_path / "job.log"
    argv = [sys.executable, "-c", LEAKY, SECRETS["log"], f"--password={SECRETS['flag']}"]
    argv += [f"--store=redis://me:{SECRETS['url']}@cache:6379/0"]
    environ = os.environ | {"AWS_SECRET_ACCESS_KEY": SECRETS["environment"], "RANK": "0", "WORLD_SIZE": "1"}
    with log.open("w") as file, subprocess.Popen(argv, stdout=file, stderr=file, env=environ) as process:
        try:
            wait_for(lambda: "ready" in log.read_text(), 60)
            attached = lastbatch("attach", process.pid, "--gap", 0.2, "--resample", 0, "--json", "--out", "job.tar.zst")
            listed = lastbatch("attach", "--list", "--json")
            lastbatch("report", "job.tar.zst", "--out", "job.html")
        finally:
            process.kill()
    packed = (tmp_path / "job.tar.zst").read_bytes()
    written = zstandard.ZstdDecompressor().decompressobj().decompress(packed).decode("utf-8", "replace")
    assert "ready" in written and "time.sleep" in written, "the evidence itself is there"
    assert redact_text("token=" + SECRETS["log"]) != "token=" + SECRETS["log"]
    everything = written + attached.out + attached.err + listed.out + (tmp_path / "job.html").read_text()
    assert [name for name, secret in SECRETS.items() if secret in everything] == []
