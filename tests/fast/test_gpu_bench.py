"""The bench of GPU jobs reads an answer as it is printed, and counts what is right."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from test_gpu_jobs import told

from diagnostics.report.document import as_json

BENCH = Path(__file__).parents[2] / "bench" / "gpu.py"


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_gpu", BENCH)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_recorded_answers_are_counted(bench: ModuleType) -> None:
    jobs = {job.name: job for job in bench.JOBS}
    rows = [
        bench.row_of(jobs[name], as_json(*told(name, later), None), 20.0, True)
        for name, later in (("spin", True), ("host_function_gil", True), ("slow_kernels", False), ("healthy", False))
    ]
    said = bench.table([*rows, bench.Row(jobs["jax_loop"], "no jax")])
    assert "hang seen: 2 of 2; place right: 2 of 2; healthy called hung: 0 of 2; not tried: 1" in said
    assert "WRONG" not in said and "not tried: no jax" in said


def test_jobs_that_keep_the_card_busy_run_alone_and_each_job_once(bench: ModuleType) -> None:
    rounds = bench.rounds(bench.JOBS)
    assert sorted(job.name for batch in rounds for job in batch) == sorted(job.name for job in bench.JOBS)
    assert all(len(batch) == 1 for batch in rounds if any(job.alone for job in batch))
