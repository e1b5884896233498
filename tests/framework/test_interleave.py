"""Both windows of the race by force: no luck needed, and the trace names the window that was forced."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import lacking, wait_for

from diagnostics.errors import MissingError
from diagnostics.frameworks.tensorflow1 import bpftrace, session, sets
from diagnostics.frameworks.tensorflow1.judge import SETTLED
from diagnostics.model.trace import TraceResult, TraceVerdict
from repro import scenarios
from repro.cluster import RankSpec
from repro.cluster.local import local_cluster
from repro.forcing import interleave
from repro.forcing.interleave import Forced, NotForced
from repro.runtimes import Runtime
from repro.trial import wait_until_ready

ATTEMPTS = 3


def forced(
    name: str, window: str, probes: str, runtime: Callable[[str], Runtime], home: Path, input_on_ps: str = "false"
) -> tuple[Forced, TraceResult]:
    """A job in which the window was forced, and what the probes said.

    On a busy machine the order that is forced does not always come about: then nothing was shown, and a new job is.
    """
    for attempt in range(ATTEMPTS - 1):
        try:
            done, result = force_once(name, window, probes, runtime, home / f"job-{attempt}", input_on_ps)
        except NotForced:
            continue
        same_call = [call.window for call in result.escaped if int(call.call, 16) == done.call]
        if not same_call or window in same_call:  # else the threads went another way than they were sent
            return done, result
    return force_once(name, window, probes, runtime, home / "last", input_on_ps)


def force_once(
    name: str, window: str, probes: str, runtime: Callable[[str], Runtime], home: Path, input_on_ps: str
) -> tuple[Forced, TraceResult]:
    try:
        bpftrace.check()
        if not shutil.which("gdb"):
            raise MissingError("gdb is not installed", "apt-get install gdb")
    except MissingError as error:
        lacking(error)
    made, story = runtime(name), scenarios.find("last-batch")
    settings = story.resolve({"epoch_ends": "100000", "variables": "40", "input_on_ps": input_on_ps})
    specs = [RankSpec(rank, story.program, "queue-closed", settings) for rank in story.ranks(settings)]
    probe_set = sets.find(probes)
    plan = session.plan(probe_set, session.library_of(made.python, probe_set))
    with local_cluster(made, specs, home) as cluster:
        ranks = {member.pid: member.rank for member in cluster.members}
        with session.tracing(plan, ranks) as trace:
            wait_until_ready(cluster)
            trace.wait_until_attached()
            done = interleave.force(cluster, window)
            began = time.monotonic()
            wait_for(lambda: time.monotonic() > began + 2 * SETTLED)
            return done, trace.finish()


@pytest.mark.parametrize(
    ("name", "window", "input_on_ps", "probes"),
    [
        ("tf1.12", "A", "false", "rendezvous"),
        ("tf1.12", "B", "false", "rendezvous"),
        ("tf1.12", "A", "false", "all-receives"),
        ("tf1.12", "B", "false", "all-receives"),
        ("tf1.13", "B", "false", "rendezvous"),
        ("tf1.15", "B", "true", "rendezvous"),
    ],
)
def test_a_window_that_is_forced_is_the_one_that_the_trace_proves(
    name: str, window: str, input_on_ps: str, probes: str, runtime: Callable[[str], Runtime], tmp_path: Path
) -> None:
    done, result = forced(name, window, probes, runtime, tmp_path, input_on_ps)

    stuck = {(int(call.call, 16), call.window, call.thread, call.peer) for call in result.escaped if not call.came_back}
    assert result.verdict is TraceVerdict.PROVEN, result.why
    assert (done.call, window, done.thread, done.server) in stuck
    assert done.server in result.did_not_run


def test_in_1_15_an_error_on_the_worker_cancels_no_server_so_what_escaped_comes_back(
    runtime: Callable[[str], Runtime], tmp_path: Path
) -> None:
    """Its master cancels for an error that is not derived from another's, and the worker's own comes last."""
    _, result = forced("tf1.15", "B", "rendezvous", runtime, tmp_path)

    assert result.verdict is TraceVerdict.NOT_SEEN, result.why
    assert "it does not stand still" in result.why


def test_the_set_of_steps_names_the_server_that_never_began_the_step(
    runtime: Callable[[str], Runtime], tmp_path: Path
) -> None:
    done, result = forced("tf1.12", "A", "steps", runtime, tmp_path)

    assert result.verdict is TraceVerdict.PROVEN, result.why
    assert "worker:0; " in result.why and done.server in result.did_not_run
    assert "worker:0" in result.ran and "ps:0" in result.ran
