"""`lastbatch replay`: from the evidence of a stuck job to a small program that hangs the same way."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from diagnostics import pipeline
from diagnostics.cli.console import BAD_NEWS, OK, Json, command, page, print_json, words
from diagnostics.cli.diagnose import read_evidence
from diagnostics.errors import LastbatchError, MissingError, UsageError
from diagnostics.report.text import plural
from repro.cli.replay_scenario import play_scenario
from repro.replay.compare import Hang, differences, hang_of
from repro.replay.plan import Plan, plan_of
from repro.replay.program import program_of
from repro.replay.scenario import choose, runs_tensorflow
from repro.replay.scenario import hang_of as hang_in_scenario
from repro.replay.shrink import fold, shrink, way_of

MOST_RANKS = 8
"""Ranks that a program has at most, unless asked for more: ranks that are alike show nothing new."""


class Written(NamedTuple):
    """A program and what it plays. `origin`: which rank of the job each of its ranks is."""

    program: Path
    plan: Plan
    origin: tuple[int, ...]


@command
def replay(
    paths: Annotated[
        list[Path],
        typer.Argument(help="A bundle, or dumps and logs of the ranks, as for diagnose.", metavar="FILE..."),
    ],
    out: Annotated[Path, typer.Option(help="Where to write the program.", metavar="FILE")] = Path("replay.py"),
    smaller: Annotated[
        bool, typer.Option("--shrink", help="The fewest ranks, groups and calls that still hang the same way.")
    ] = False,
    ranks: Annotated[
        int, typer.Option(help="Ranks to play at most; of those that are alike, some are left out.", min=2)
    ] = MOST_RANKS,
    only_write: Annotated[bool, typer.Option("--no-run", help="Write the program, and do not run it.")] = False,
    runtime: Annotated[
        str | None, typer.Option(help="To run it with; default: torch, or the job's TensorFlow.", metavar="NAME")
    ] = None,
    time_limit: Annotated[
        float, typer.Option(help="Seconds of training until a scenario must hang.", min=1, metavar="S")
    ] = 120.0,
    as_json: Json = False,
) -> int:
    """Make something small that hangs as a stuck job did, run it, and compare.

    Of a PyTorch job a program: it has the job's groups, and each rank's collectives in their order, as the job's
    memory, Flight Recorder dumps or logs have them. Where a rank stood elsewhere, it waits in a function of that name.
    It runs with gloo on this machine, is attached to, and ended.

    Of a TensorFlow job the command line of the scenario that hangs of the same cause, with as many workers and
    servers, the job's release, and its input where the job's stands.

    Ends with 1 where it hangs in another way than the job.

    Example: lastbatch replay lastbatch-20260101-120000.tar.zst --shrink    Example: lastbatch replay fr_trace_*
    """
    collection, errors = read_evidence(paths)
    for error in errors:
        words.print(f"lastbatch: {error.stage}: {error.error}")
    collection, diagnosis = pipeline.explain(collection)
    if diagnosis.hung is False:
        raise LastbatchError("this job does not hang", "lastbatch diagnose says how its ranks are")
    if runs_tensorflow(collection) and not any(one.collectives for one in collection.processes):
        choice = choose(collection, diagnosis, ranks, smaller)
        choice = choice._replace(runtime=runtime) if runtime else choice
        return play_scenario(choice, hang_in_scenario(diagnosis), only_write, time_limit, as_json)
    whole = plan_of(collection)
    if not way_of(whole).somebody:
        raise LastbatchError(
            "by the collectives in this evidence nobody waits for anybody: there is no hang to play",
            "lastbatch diagnose says what the evidence holds",
        )
    plan, origin = shrink(whole) if smaller else fold(whole, ranks)
    written = Written(out, plan, origin)
    _write(written, f"Hangs as the job in {', '.join(path.name for path in paths[:3])} did.")
    job = hang_of(collection, diagnosis)
    return _show(written, job, None if only_write else _replayed(written, runtime or "torch"), as_json)


def _write(written: Written, title: str) -> None:
    if written.program.suffix != ".py":
        raise UsageError(f"{written.program.name} is to be a Python program", "Let its name end with .py")
    text = program_of(written.plan, title, written.program.name, written.origin)
    try:
        written.program.write_text(text, "utf-8")
    except OSError as error:
        raise MissingError(
            f"cannot write {written.program}: {error.strerror}", "Name another place with --out"
        ) from None


def _replayed(written: Written, runtime: str) -> Hang:
    from repro.replay.run import attach_to
    from repro.runtimes import ensure

    ready = ensure(runtime)
    with words.status("the program starts") as status:
        answer = attach_to(written.program.absolute(), written.plan, ready, status.update)
    return hang_of(answer.collection, answer.diagnosis, written.origin)


def _show(written: Written, job: Hang, replayed: Hang | None, as_json: bool) -> int:
    differs = differences(job, replayed, written.origin) if replayed else ()
    plan = written.plan
    document: dict[str, Any] = {
        "program": str(written.program), "ranks": plan.world, "groups": len(plan.groups),
        "calls": sum(len(one.calls) for one in plan.ranks), "plays": written.origin, "guessed": plan.guessed,
        "job": job._asdict(), "replayed": replayed._asdict() if replayed else None,
        "same": not differs if replayed else None, "differences": differs,
    }  # fmt: skip
    if as_json:
        print_json(document)
    else:
        sizes = ((plan.world, "rank"), (len(plan.groups), "group"), (document["calls"], "call"))
        told = ", ".join(plural(number, noun) for number, noun in sizes)
        page.print(f"{written.program}: {told}", soft_wrap=True)
        for guess in plan.guessed:
            page.print(f"guessed: {guess}", soft_wrap=True)
        if replayed:
            said = "; ".join(differs) or f"It hangs as the job did: {replayed.family}"
            page.print(said if not differs else f"It hangs differently: {said}", soft_wrap=True)
    return BAD_NEWS if differs else OK
