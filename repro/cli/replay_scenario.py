"""`lastbatch replay` of a TensorFlow job: a scenario of the zoo is run in its place, and compared."""

from __future__ import annotations

import shlex
import tempfile
from pathlib import Path
from typing import Any

from diagnostics.cli.console import BAD_NEWS, OK, page, print_json
from repro.cli.display import displayed
from repro.faults import schedule
from repro.replay.compare import Hang, differences
from repro.replay.scenario import Choice, hang_of
from repro.trial import Plan, run_trial


def play_scenario(choice: Choice, job: Hang, only_tell: bool, time_limit: float, as_json: bool) -> int:
    """Tell the scenario and its command; run it, unless asked not to; say whether it hangs as the job did."""
    command = (*choice.command, "--time-limit", f"{time_limit:g}")
    if not as_json:
        page.print(shlex.join(command), soft_wrap=True)
        for words in choice.taken:
            page.print(f"  {words}", soft_wrap=True)
    replayed = None if only_tell else _run(choice, time_limit)
    differs = _differences(job, replayed) if replayed else ()
    document: dict[str, Any] = {
        "command": command, "scenario": choice.scenario.name, "arm": choice.arm, "runtime": choice.runtime,
        "settings": choice.given,
        "faults": choice.faults, "ranks": len(choice.ranks), "taken": choice.taken, "job": job._asdict(),
        "replayed": replayed._asdict() if replayed else None, "same": not differs if replayed else None,
        "differences": differs,
    }  # fmt: skip
    if as_json:
        print_json(document)
    elif replayed:
        said = f"It hangs differently: {'; '.join(differs)}" if differs else f"It hangs as the job did: {job.family}"
        page.print(said, soft_wrap=True)
    return BAD_NEWS if differs else OK


def _run(choice: Choice, time_limit: float) -> Hang:
    from repro.runtimes import ensure

    choice.scenario.require()
    with displayed(choice.scenario.name) as display, tempfile.TemporaryDirectory(prefix="lastbatch-replay-") as home:
        runtime = ensure(choice.runtime, progress=display.stage)
        faults = tuple(schedule.parse(fault) for fault in choice.faults)
        directory = Path(home) / choice.arm
        plan = Plan(choice.scenario, choice.arm, runtime, choice.settings, time_limit, directory, faults=faults)
        outcome = run_trial(plan, display)
    return hang_of(outcome.diagnosis) if outcome.verdict == "hung" and outcome.diagnosis else Hang("none", (), False)


def _differences(job: Hang, replayed: Hang) -> tuple[str, ...]:
    if replayed.family == "none":
        return ("it did not hang; some hangs take luck: run the command longer, or again",)
    return differences(job, replayed, job.culprits)
