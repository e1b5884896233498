"""Which ranks run a step that the others have not begun or have ended already (TensorFlow 1.4 to 1.15).

A graph-mode step has a part on every rank that it touches. At a standstill this says which parts are open, and which
ranks that run other steps never began this one: what a starved, dropped or dead part looks like, whatever the reason.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from diagnostics.collector.memory.elf import Library
from diagnostics.frameworks.tensorflow1.probes import Decoded, Probe, ProbeSet, Scope
from diagnostics.frameworks.tensorflow1.receives import rank_in
from diagnostics.model.trace import TraceResult, TraceVerdict, counted

SETTLED = 1.0
"""Seconds without a step beginning or ending after which the job is taken to stand still."""


def no_offsets(library: Library) -> Mapping[str, int]:
    return {}


def judge_steps(decoded: Decoded, scope: Scope) -> TraceResult:
    """Proven: at a standstill a step is open on some ranks and was never begun on others."""
    began: dict[int, dict[int, int]] = defaultdict(dict)
    ended: dict[int, set[int]] = defaultdict(set)
    for event in decoded.events:
        step = event.numbers["step"]
        if event.kind == "run":
            began[step].setdefault(event.pid, event.at)
        else:
            ended[step].add(event.pid)
    running = {pid for ranks in began.values() for pid in ranks}
    still = bool(decoded.events) and scope.ended - decoded.events[-1].at >= SETTLED * 1e9
    open_steps = {step: set(ranks) - ended[step] for step, ranks in began.items() if set(ranks) - ended[step]}
    latest = max(open_steps, key=lambda step: max(began[step].values()), default=0)
    inside = sorted(rank_in(scope, pid) for pid in open_steps.get(latest, ()))
    absent = sorted(rank_in(scope, pid) for pid in running - set(began.get(latest, ()))) if inside else []
    verdict = TraceVerdict.NOT_SEEN
    if not decoded.events:
        why = "no step began or ended: the job stood still already"
    elif not still:
        why = f"steps go on: {len(began)} began"
    elif inside and absent and not decoded.lost:
        verdict = TraceVerdict.PROVEN
        why = f"step {latest:x} is open on {', '.join(inside)}; {', '.join(absent)} never began it"
    elif inside:
        why = f"step {latest:x} is open on {', '.join(inside)}, and every rank began it"
    else:
        verdict, why = TraceVerdict.REFUTED, "the job stands still, and no step is open on any rank"
    return TraceResult(
        probe_set="", verdict=verdict, why=why, seconds=round((scope.ended - scope.began) / 1e9, 3),
        counts=counted(decoded.counts), lost=decoded.lost, unreadable=decoded.bad,
        ran=tuple(sorted(rank_in(scope, pid) for pid in began.get(latest, ()))), did_not_run=tuple(absent),
    )  # fmt: skip


SET = ProbeSet(
    name="steps",
    summary="which ranks began and ended each step (TensorFlow 1.4 to 1.15)",
    libraries=("_pywrap_tensorflow_internal.so",),
    probes=(
        Probe("run", "E", "_ZN10tensorflow8GraphMgr12ExecuteAsyncE", {"step": "arg2"}),
        Probe("clean", "C", "_ZN10tensorflow17BaseRendezvousMgr7CleanupE", {"step": "arg1"}),
    ),
    judge=judge_steps,
    offsets=no_offsets,
)  # fmt: skip
