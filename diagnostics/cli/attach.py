"""`lastbatch attach`: look at a job that is stuck now."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from diagnostics import pipeline
from diagnostics.analyze.progress import Limits
from diagnostics.cli.console import CANNOT_TELL, LACKING, OK, Json, command, words
from diagnostics.cli.showing import Floor, Verbose, show
from diagnostics.discover.places import Place, resolve
from diagnostics.discover.selectors import jobs_here, select
from diagnostics.errors import UsageError
from diagnostics.model import BUNDLE_SUFFIX, State
from diagnostics.model.rank import parse
from diagnostics.report.text import compact_ranks
from diagnostics.transport import COLLECTORS, Fleet, Options, ready

Targets = Annotated[
    list[str] | None,
    typer.Argument(
        help="Process ids, job:ID, job:ID/RANK, port:2222, cmd:train.py (see --list), slurm:ID, "
        "k8s:pod/NAME, k8s:job/NAME, k8s:pytorchjob/NAME, k8s:LABEL=VALUE, yarn:application_ID.",
        metavar="TARGET...",
    ),
]
Out = Annotated[Path | None, typer.Option(help="Where to write the bundle.", metavar="FILE")]
Gap = Annotated[float, typer.Option(help="Seconds between two samples.", min=0.1, max=60)]
Resample = Annotated[
    float,
    typer.Option(help="Seconds to sample on where nothing moves and two samples do not decide.", min=0, max=600),
]
Budget = Annotated[float, typer.Option(help="Seconds for each tool on each process.", min=1)]
Collectors = Annotated[
    list[str] | None,
    typer.Option("--collector", help=f"Only this stack collector ({', '.join(COLLECTORS)}); again for more."),
]


@command
def attach(
    targets: Targets = None,
    list_jobs: Annotated[bool, typer.Option("--list", help="Show the jobs seen on this machine, touch none.")] = False,
    out: Out = None,
    gap: Gap = 1.0,
    resample: Resample = 25.0,
    budget: Budget = 20.0,
    collector: Collectors = None,
    children: Annotated[bool, typer.Option(help="Look at data loaders and other children, too.")] = True,
    peers: Annotated[bool, typer.Option(help="Look at unnamed processes that the job is connected to, too.")] = False,
    device: Annotated[
        bool,
        typer.Option("--device", help="Also ask cuda-gdb which kernels are on the card: this stops the job meanwhile."),
    ] = False,
    via: Annotated[
        str | None, typer.Option(help="How to run a command on a host: 'ssh {host}', 'docker exec -i {host}', ...")
    ] = None,
    host: Annotated[list[str] | None, typer.Option(help="A host to look at through --via; again for more.")] = None,
    debug_image: Annotated[
        str,
        typer.Option(
            help="Kubernetes: where containers may not trace or have no shell, look from an ephemeral container of "
            "this image. It stays in the pod.",
            metavar="IMAGE",
        ),
    ] = "",
    deadline: Annotated[float, typer.Option(help="Seconds for each visit to a host.", min=2)] = 60.0,
    hang_after: Floor = 4.0,
    verbose: Verbose = False,
    as_json: Json = False,
) -> int:
    """Look at a job that is stuck now: evidence of all its processes, a verdict, a bundle.

    Nothing has to be prepared in the job. Threads that sleep are read without being stopped; one that runs is stopped
    for a moment, and runs again afterwards. The pause is in the result.

    On other hosts (--via) it needs a Python 3.6 or later, or, with less to show, only a shell and gdb. It installs
    nothing there and leaves nothing behind.

    Example: lastbatch attach job:tf-4f2a91

    Example: lastbatch attach slurm:4711

    Example: lastbatch attach --via 'ssh {host}' --host node1 --host node2 cmd:train.py
    """
    if list_jobs:
        from diagnostics.cli.job_list import show_jobs  # what only this needs would keep every attach waiting

        return show_jobs(jobs_here(), as_json)
    if unknown := set(collector or ()) - set(COLLECTORS):
        raise UsageError(f"there is no stack collector {min(unknown)!r}", f"There are {', '.join(COLLECTORS)}")
    if not targets and not via:
        raise which_target()
    if host and not via:
        raise UsageError("--host is a host to look at through --via", "For example: --via 'ssh {host}' --host a")
    if via and debug_image:
        raise UsageError("--debug-image is for pods that kubectl finds", "Give k8s:pod/NAME instead of --via")
    refuse_no_place(out)
    options = Options(gap, budget, tuple(collector or ()), resample=resample)
    if via:
        place = Place(Fleet(_hosts(host or [], targets or []), via, deadline), tuple(targets or ()))
    else:
        place = resolve(targets or (), deadline, debug_image, lambda what: words.print(what, soft_wrap=True))
    with words.status("") as status, nullcontext() if place.fleet else ready():
        answer = pipeline.attach(
            place.words, options, Limits(floor=hang_after), children, peers, place.fleet, out or default_path(),
            status.update, device,
        )  # fmt: skip
    return conclude(answer, as_json, verbose)


def which_target() -> UsageError:
    """An empty `$(pgrep ...)` must not choose a target; the only job here is offered.

    Raises: as `select` where there is no job, or several.
    """
    job = select(()).jobs[0]
    ranks = compact_ranks(member.rank for member in job.members if not parse(member.rank).helps)
    only = f"job:{job.id}"
    return UsageError(f"no target is given; the only job here is {only} ({ranks})", f"Take lastbatch attach {only}")


def _hosts(named: Sequence[str], selectors: Sequence[str]) -> tuple[str, ...]:
    """Those named, else where the job that is seen here has its other ranks."""
    if named:
        return tuple(dict.fromkeys(named))
    chosen = select(selectors)
    elsewhere = [address.rpartition(":")[0].strip("[]") for job in chosen.jobs for _, address in job.elsewhere]
    if not elsewhere:
        raise UsageError("which hosts?", "Name each with --host; no job here says where its other ranks are")
    return tuple(dict.fromkeys(elsewhere))


def default_path() -> Path:
    """Here; where nobody may write here, as often in a container, where anybody may."""
    here = Path(".") if os.access(".", os.W_OK) else Path(tempfile.gettempdir())
    return here / (time.strftime("lastbatch-%Y%m%d-%H%M%S") + BUNDLE_SUFFIX)


def refuse_no_place(out: Path | None) -> None:
    """What is named may be mistyped: that is told before anybody is looked at, or waits a night for a hang.

    Raises:
        UsageError: nothing can be written there.
    """
    if out is None:
        return
    if out.is_dir():
        raise UsageError(f"{out} is a directory", "Name a file in it with --out")
    if not out.parent.is_dir():
        raise UsageError(f"there is no directory {out.parent.absolute()}", "Make it, or name another place with --out")
    if not os.access(out.parent, os.W_OK):
        raise UsageError(f"nothing may be written in {out.parent.absolute()}", "Name another place with --out")


def conclude(answer: pipeline.Answer, as_json: bool, verbose: bool = False) -> int:
    """Print the answer, and what became of the evidence; the exit code."""
    collection = answer.collection
    code = show(collection, answer.diagnosis, as_json, verbose, answer.bundle)
    if answer.not_written:
        what = "the bundle lacks what was found last" if answer.bundle else "the bundle is not written"
        words.print(Text(f"lastbatch: {what}: {answer.not_written}"), soft_wrap=True)
        return answer.not_written.exit_code
    if any(process.threads or process.state is State.DEAD for process in collection.processes):
        return code
    reason = next((process.why_not for process in collection.processes if process.why_not), "no reason given")
    words.print(
        Text(f"lastbatch: no stack could be read: {reason}. See lastbatch doctor for what is missing"), soft_wrap=True
    )
    return LACKING if code in (OK, CANNOT_TELL) else code
