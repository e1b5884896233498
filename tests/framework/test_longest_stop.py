"""A tool that stops the target and then loses its turn is ended after a while, and the target runs again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import wait_for

from diagnostics.collector import procfs
from diagnostics.collector.stacks import pyspy
from diagnostics.collector.stacks.base import Attempt, attempt

BUDGET = 300.0
BUSY = """
import time
def deeper(calls):
    if calls: return deeper(calls - 1)
    end = time.monotonic() + 0.01
    while time.monotonic() < end: pass
print("ready", flush=True)
while True: deeper(int(time.monotonic() * 100) % 97)
"""
LOSES_ITS_TURN = """
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <unistd.h>
int main(int count, char **words) {
  int pid = 0;
  for (int i = 1; i < count; i++) {
    if (!strcmp(words[i], "--nonblocking")) execv(PY_SPY, words);
    if (!strcmp(words[i], "--pid")) pid = atoi(words[i + 1]);
  }
  ptrace(PTRACE_SEIZE, pid, 0, 0);
  ptrace(PTRACE_INTERRUPT, pid, 0, 0);
  sleep(600);
}
"""


def test_python_frames_cost_a_target_two_seconds_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GIVEN a busy program and a py-spy that stops it and sleeps, THEN it stands no longer than is allowed."""
    slow = tmp_path / "py-spy"
    (tmp_path / "slow.c").write_text(LOSES_ITS_TURN)
    subprocess.run(["gcc", f'-DPY_SPY="{pyspy.tool()}"', "-o", slow, tmp_path / "slow.c"], check=True)
    monkeypatch.setattr(pyspy, "tool", lambda: str(slow))
    with subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE, text=True) as busy:
        try:
            assert busy.stdout and busy.stdout.readline() == "ready\n"

            def stopped() -> Attempt | None:
                """Two looks that happen to find the same need no stop."""
                assert busy.poll() is None
                tried, _ = attempt("py-spy", pyspy.read, busy.pid, BUDGET)
                return tried if tried.pause else None

            tried = wait_for(stopped)
            assert pyspy.LONGEST_STOP / 2 < tried.pause < BUDGET / 10, "it was not left to the collector's budget"
            wait_for(lambda: procfs.state_of(busy.pid) in ("R", "S"), 10)
            used = procfs.cpu_of(busy.pid)
            wait_for(lambda: procfs.cpu_of(busy.pid) > used + 0.05, 30)
        finally:
            busy.kill()
