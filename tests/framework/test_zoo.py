"""The zoo without TensorFlow: every stuck arm is named by its cause, no healthy one is called hung."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from pathlib import Path
from subprocess import PIPE

import pytest
from conftest import Answer, Calls, chosen

from repro import scenarios
from repro.cluster.ports import lease
from repro.runtimes import Runtime
from repro.scenario import Scenario

Call = Callable[..., Answer]
Runtimes = Callable[[str], Runtime]
ZOO = [scenario for scenario in scenarios.load().values() if scenario.framework != "tensorflow"]


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest, calls: Calls, runtime: Runtimes) -> dict[str, Future[Answer]]:
    found = {}
    for given in chosen(request, test_every_arm_comes_to_what_is_known_of_it.__name__):
        scenario = given["scenario"]
        with suppress(pytest.skip.Exception):  # the test itself tells why
            runtime(scenario.default_runtime)
            found[scenario.name] = calls(scenario.name, ("run", scenario.name, "--json", "--out", "out"))
    return found


@pytest.mark.parametrize("scenario", ZOO, ids=lambda scenario: scenario.name)
def test_every_arm_comes_to_what_is_known_of_it(
    scenario: Scenario, runs: dict[str, Future[Answer]], runtime: Runtimes
) -> None:
    runtime(scenario.default_runtime)
    answer = runs[scenario.name].result()
    assert answer.code == 0, answer.json
    for arm in answer.json["arms"]:
        expected = scenario.expected(arm["arm"], (), arm["settings"])
        assert (arm["verdict"] == "hung") == expected.hang
        assert not expected.hang or arm["finding"]["cause"] == expected.cause


@pytest.mark.parametrize("python", ["py3.6", "py3.13"])
def test_other_interpreters_locks_are_seen_as_well(python: str, calls: Calls, runtime: Runtimes) -> None:
    runtime(python)
    names = ("lock-order", "fork-with-threads", "gil-held")
    answers = [calls(name, ("run", name, "--runtime", python, "--json", "--out", "out")) for name in names]
    for name, answer in zip(names, answers, strict=True):
        assert answer.result().code == 0, (name, answer.result().out[:2000])


RECORDED = """
import sys, threading
import torch, torch.distributed as dist
from torch._C._distributed_c10d import _dump_fr_trace, _dump_fr_trace_json
rank, port, form = int(sys.argv[1]), sys.argv[2], sys.argv[3]
dist.init_process_group("gloo", init_method="tcp://127.0.0.1:" + port, rank=rank, world_size=2)
for _ in range(2):
    dist.all_reduce(torch.ones(4))
def tell():
    dist.broadcast(torch.zeros(2), 0)
def sum_up():
    dist.all_reduce(torch.ones(4))
threading.Thread(target=tell if rank == 0 else sum_up, daemon=True).start()
while True:
    data = _dump_fr_trace() if form == "pickle" else _dump_fr_trace_json()
    if (b"broadcast" if rank == 0 else b'"collective_seq_id":3' if form != "pickle" else b"sum_up") in data:
        break
open("nccl_trace_rank_%d" % rank, "wb").write(data)
print("written", flush=True)
threading.Event().wait()
"""


@pytest.mark.parametrize("form", ["pickle", "json"])
def test_real_flight_recorders_of_pytorch(form: str, lastbatch: Call, runtime: Runtimes, tmp_path: Path) -> None:
    """GIVEN two gloo ranks in different collectives, each with its dump, THEN their parting is named, with places."""
    python = str(runtime("torch").python)
    processes: list[subprocess.Popen[bytes]] = []
    environment = os.environ | {"TORCH_FR_BUFFER_SIZE": "100"}
    with lease(1) as (port,), ExitStack() as stack:
        for rank in ("0", "1"):
            command = [python, "-c", RECORDED, rank, str(port), form]
            processes.append(stack.enter_context(subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=PIPE)))
            stack.callback(processes[-1].kill)
        for process in processes:
            assert process.stdout and process.stdout.readline()
    answer = lastbatch("diagnose", "nccl_trace_rank_0", "nccl_trace_rank_1", "--json").json
    assert answer["verdict"] == "collective-mismatch", answer
    told = " ".join(row["fact"] for row in answer["findings"][0]["evidence"])
    assert "collective 3" in told and "broadcast" in told
    assert form == "json" or "sum_up" in told


AT_REST = """
import threading
def pool():
    threading.Semaphore(0).acquire()
threading.Thread(target=pool, daemon=True).start()
print("ready", flush=True)
def serve_until_ended():
    threading.Event().wait()
serve_until_ended()
"""


def test_a_program_that_rests_on_an_event_is_not_called_hung(lastbatch: Call) -> None:
    """GIVEN a main thread that waits until a signal ends it, and a pool without work, THEN no cause is named."""
    with subprocess.Popen([sys.executable, "-c", AT_REST], stdout=PIPE) as process:
        try:
            assert process.stdout and process.stdout.readline()
            answer = lastbatch("attach", process.pid, "--gap", 0.2, "--json").json
            assert answer["verdict"] == "unknown", answer
        finally:
            process.kill()
