"""Of a rank that goes on while its evidence is collected nobody says that it hangs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from diagnostics.model import Collection, Process
from diagnostics.recorder import Recorder
from diagnostics.transport import flight
from repro.trial.ranks import recorder_of
from repro.trial.watch import with_newer_flights


@pytest.mark.parametrize(("said", "goes_on"), [("step", True), ("error", False), ("nothing", False)])
def test_a_rank_that_went_on_meanwhile_is_judged_by_what_it_says_by_now(
    tmp_path: Path, said: str, goes_on: bool
) -> None:
    """GIVEN a rank that was silent, WHEN it goes on, or ends with an error, THEN only the first is no hang."""
    cluster = cast("Any", SimpleNamespace(members=(SimpleNamespace(pid=41, rank="worker:0", directory=tmp_path),)))
    recorder = Recorder(str(recorder_of(cluster.members[0])), rank="worker:0")
    try:
        recorder.step_begin(1)
        before = flight.load(recorder_of(cluster.members[0]))
        if said == "step":
            recorder.step_end()
        if said == "error":
            recorder.error(RuntimeError("it was aborted"))
        silent = Collection(0.0, 0.0, (Process("worker:0", 41, "host", flight=before),))
        after = with_newer_flights(silent, cluster).processes[0].flight
        assert before
        assert after
        assert (after.count > before.count) is goes_on
    finally:
        recorder.close()
