"""Receives that escape the abort of their step (TensorFlow 1.4 to 1.15): cause `tf-late-recv-after-abort`.

`RegisterCall` puts a receive into its rendezvous; where that was aborted already it cancels the receive at once, which
does nothing as it has no callback yet: window A (closed in 1.13 by a look at the status before it is sent). Then
the RPC starts and sets the callback; an abort in between cancels as much in vain: window B.
"""

from __future__ import annotations

from collections.abc import Mapping

from diagnostics.trace.elf import ABORT_CALL, Library, layout_of
from diagnostics.trace.judge import judge_receives
from diagnostics.trace.probes import Probe, ProbeSet


def offsets(library: Library) -> Mapping[str, int] | None:
    layout = layout_of(library)
    return layout.named() if layout else None


_STATUS_CODE = "*(uint32 *)(*(uint64 *)({}))"

SET = ProbeSet(
    name="rendezvous",
    summary="receives from registration to return, and the aborts that miss them (TensorFlow 1.4 to 1.15)",
    libraries=("_pywrap_tensorflow_internal.so",),
    probes=(
        Probe(
            "register", "R", "_ZN10tensorflow20BaseRemoteRendezvous12RegisterCallE",
            {"owner": "arg0", "call": "arg1", "step": "*(uint64 *)(arg0 + 24)"},
        ),
        Probe("start", "T", "_ZN10tensorflow16GrpcRemoteWorker15RecvTensorAsyncE", {"call": "arg1"}),
        Probe("return", "D", "_ZN10tensorflow20BaseRemoteRendezvous14DeregisterCallE", {"call": "arg1"}),
        Probe(
            "abort", "B", "_ZN10tensorflow20BaseRemoteRendezvous10StartAbortE",
            {"owner": "arg0", "step": "*(uint64 *)(arg0 + 24)", "code": _STATUS_CODE.format("arg1")},
        ),
        Probe(
            "cancel", "A", ABORT_CALL,
            {"call": "arg0", "callback": "*(uint64 *)(arg0 + {callback})"}, "str(*(uint64 *)(arg0 + 8))",
        ),
        Probe("run", "E", "_ZN10tensorflow8GraphMgr12ExecuteAsyncE", {"step": "arg2"}),
        # What the master hears of the parts of a step; 1.15 also passes the part's name.
        Probe(
            "part", "M", "_ZN10tensorflow13RunManyGraphs8WhenDoneEiRKNS_6StatusE",
            {"part": "arg1", "code": _STATUS_CODE.format("arg2")}, needed=False,
        ),
        Probe(
            "part", "N", "_ZN10tensorflow13RunManyGraphs8WhenDoneEiRKSs",
            {"part": "arg1", "code": _STATUS_CODE.format("arg3")}, needed=False,
        ),
    ),
    judge=judge_receives,
    offsets=offsets,
    proves="tf-late-recv-after-abort",
)  # fmt: skip
