"""`lastbatch trace`: probes on the framework's functions, to prove or refute a race in a job that runs."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from diagnostics import bundle, pipeline
from diagnostics.analyze.progress import is_server
from diagnostics.cli.attach import refuse_no_place
from diagnostics.cli.console import BAD_NEWS, OK, Json, command, page, print_json, words
from diagnostics.collector import procfs
from diagnostics.discover.selectors import Selection, select
from diagnostics.errors import MissingError, UsageError
from diagnostics.frameworks.tensorflow1 import bpftrace, memory, session, sets
from diagnostics.frameworks.tensorflow1.enrich import STILL
from diagnostics.frameworks.tensorflow1.probes import ProbeSet
from diagnostics.model import Process
from diagnostics.model.trace import TraceResult, TraceVerdict
from diagnostics.report.probes import render_trace_result
from diagnostics.transport import Here, Options, Target

Targets = Annotated[
    list[str] | None,
    typer.Argument(
        help="Process ids, job:ID, job:ID/RANK, port:2222, cmd:train.py, slurm:ID, yarn:application_ID, all of this "
        "machine (see attach --list).",
        metavar="TARGET...",
    ),
]


@command
def trace(
    targets: Targets = None,
    probes: Annotated[str, typer.Option(help="The probe set.", metavar="NAME")] = "rendezvous",
    seconds: Annotated[float, typer.Option(help="How long to trace; Ctrl-C ends it earlier.", min=0.1)] = 30.0,
    memory_only: Annotated[
        bool, typer.Option("--memory", help="Set no probes: read what a job that stands still has in memory.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Write a bundle and a report, too.", metavar="FILE")] = None,
    as_json: Json = False,
) -> int:
    """Prove or refute a race in a job that runs: probes on the framework's own functions, in all its processes.

    A job that stands still already calls nothing any more: then its memory is read, which shows the calls
    that are open, also where probes cannot be set. Nothing is stopped, nothing is left behind. Ends with 1 where the
    race is proven.

    Example: lastbatch trace job:tf-4f2a91 --seconds 60
    """
    refuse_no_place(out)
    probe_set, lack = sets.find(probes), None if memory_only else bpftrace.lacking()
    if lack and not probe_set.proves:
        raise lack  # it is about calls, which memory does not hold
    chosen = select(targets or [])
    ranks = {member.pid: member.rank for member in chosen.members}
    if not ranks:
        raise UsageError("no process to trace", "See lastbatch attach --list")
    if lack:
        result = _instead_of_probes(lack, ranks)
    else:
        plan = _plan(ranks, probe_set)
        result = _by_memory(ranks) if memory_only else _probe(plan, ranks, seconds)
    written = _write(out, chosen, result) if out else None
    if as_json:
        print_json({"trace": result, "bundle": str(written) if written else None})
    else:
        page.print(render_trace_result(result))
        if written:
            page.print(f"\nEvidence: {written}", soft_wrap=True)
    return BAD_NEWS if result.verdict is TraceVerdict.PROVEN else OK


def _stand_still(ranks: dict[int, str]) -> bool:
    """Whether none of them works, by two samples a second apart."""
    before = {pid: procfs.cpu_of(pid) for pid in ranks}
    time.sleep(1.0)
    return all(procfs.cpu_of(pid) - cpu < STILL for pid, cpu in before.items())


def _instead_of_probes(lack: MissingError, ranks: dict[int, str]) -> TraceResult:
    """What the memory of a job says that stands still; of another there is nothing to say."""
    if not _stand_still(ranks):
        raise lack
    try:
        result = _by_memory(ranks)
    except MissingError:
        raise lack from None
    words.print(f"{lack.message}: the job stands still, so its memory was read instead", soft_wrap=True)
    return result


def _by_memory(ranks: dict[int, str]) -> TraceResult:
    """A server's receive that escaped holds nobody, and stays in its memory."""
    clients = {rank for rank in ranks.values() if not is_server(rank)}
    processes = [Process(rank, pid, socket.gethostname()) for pid, rank in ranks.items()]
    return memory.judge(memory.read(Here(), processes, clients, limit=False), clients)


def _plan(ranks: dict[int, str], probe_set: ProbeSet) -> session.Plan:
    """Where the probes go: all processes that have the library must have the same file."""
    found: dict[Path, int] = {}
    reasons: list[MissingError] = []
    for pid in ranks:
        try:
            found.setdefault(session.find_library(pid, probe_set), pid)
        except MissingError as error:
            reasons.append(error)
    inodes = {path.stat().st_ino: path for path in found}
    if not inodes:
        raise reasons[0]
    if len(inodes) > 1:
        raise UsageError(f"the processes run {len(inodes)} copies of the library", "Trace those of one at a time")
    return session.plan(probe_set, next(iter(inodes.values())))


def _probe(plan: session.Plan, ranks: dict[int, str], seconds: float) -> TraceResult:
    with words.status(f"setting {len(plan.places)} probes") as status, session.tracing(plan, ranks) as running:
        running.wait_until_attached()
        status.update(f"tracing {len(ranks)} processes for {seconds:.0f} s")
        try:
            time.sleep(seconds)
        except KeyboardInterrupt:
            status.update("ending the trace")
        result = running.finish()
    if plan.probe_set.proves and not result.counts:
        return _by_memory(ranks)
    return result


def _write(path: Path, chosen: Selection, result: TraceResult) -> Path:
    """A bundle of the job with the trace in it, and its report beside it."""
    here = Here(tuple(Target(member.pid, member.rank) for member in chosen.members), tuple(chosen.expected))
    answer = pipeline.answer(msgspec.structs.replace(here.collect(Options()), trace=result), out=path, reach=here)
    if answer.not_written:
        raise answer.not_written
    report = path.with_name(path.name.removesuffix(bundle.SUFFIX) + ".html")
    from diagnostics.report.html import render_html

    report.write_text(render_html(answer.collection, answer.diagnosis), "utf-8")
    return path
