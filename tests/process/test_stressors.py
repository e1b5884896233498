"""Stressors on ranks whose threads come and go, as those of a framework do."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from repro.study.stressors import Cores

RESTLESS = """
import threading
print(flush=True)
while True:
    threads = [threading.Thread(target=int) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""


@pytest.fixture
def restless() -> Any:
    """A process that starts and ends threads without a pause."""
    with subprocess.Popen([sys.executable, "-c", RESTLESS], stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline()
        yield process
        process.kill()


def test_threads_that_end_do_not_end_the_trial(restless: Any) -> None:
    cores: Any = Cores(1)([SimpleNamespace(pid=restless.pid, rank="worker:0")])  # type: ignore[list-item]
    for _ in range(200):
        with cores:
            assert cores.record["cores"] >= 1


def test_a_rank_that_has_ended_has_no_cores(restless: Any) -> None:
    """It may end at its own pace, also before the stressor begins."""
    cores: Any = Cores(1)([SimpleNamespace(pid=restless.pid, rank="worker:0")])  # type: ignore[list-item]
    restless.kill()
    restless.wait()
    with cores:
        assert cores.record == {"cores": 0.0, "cores_before": 0.0}
