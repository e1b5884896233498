"""Every receive from registration to return (TensorFlow 1.4 to 1.15): how wide the race's windows are, how often hit.

Tells of three calls a receive, which slows a job down by half. `rendezvous` proves the same and costs little.
"""

from __future__ import annotations

import msgspec

from diagnostics.frameworks.tensorflow1.judge import judge_receives
from diagnostics.frameworks.tensorflow1.probes import Probe, ProbeSet
from diagnostics.frameworks.tensorflow1.sets.rendezvous import ABORT, CANCEL, PARTS, REGISTER, RUN, offsets

SET = ProbeSet(
    name="all-receives",
    summary="receives from registration to return, and the aborts that miss them (TensorFlow 1.4 to 1.15)",
    libraries=("_pywrap_tensorflow_internal.so",),
    probes=(
        REGISTER,
        Probe("start", "T", "_ZN10tensorflow16GrpcRemoteWorker15RecvTensorAsyncE", {"call": "arg1 - {options}"}),
        Probe("return", "D", "_ZN10tensorflow20BaseRemoteRendezvous14DeregisterCallE", {"call": "arg1"}),
        msgspec.structs.replace(CANCEL, text="str(*(uint64 *)(arg0 + 8))"),
        ABORT,
        RUN,
        *(msgspec.structs.replace(part, when="") for part in PARTS),
    ),
    judge=judge_receives,
    offsets=offsets,
    proves="tf-late-recv-after-abort",
)
