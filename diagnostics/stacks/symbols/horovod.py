"""Horovod and BytePS."""

from diagnostics.model import Role, WaitKind
from diagnostics.stacks.symbol import Weight, native, python

PACKAGES = ("horovod", "byteps")
LIBRARIES = r"^(mpi_lib\w*|libhorovod\w*|c_lib|libbyteps\w*)[\w.-]*\.so[\w.]*$"
_G = Weight.GENERAL
_OPERATIONS = (
    "allreduce\\w*|_allreduce\\w*|allgather\\w*|broadcast\\w*|alltoall\\w*|reducescatter\\w*|synchronize|_synchronize"
)

SYMBOLS = (
    python("horovod/", "barrier|join", r"hvd.\g<0>", WaitKind.COLLECTIVE, Role.COLLECTIVE, Role.BARRIER),
    python("horovod/", _OPERATIONS, r"hvd.\g<0>", WaitKind.COLLECTIVE, Role.COLLECTIVE),
    python("horovod/common/basics.py", "init", "hvd.init", WaitKind.RENDEZVOUS, Role.RENDEZVOUS),
    python("horovod/common/basics.py", "shutdown", "hvd.shutdown", WaitKind.COLLECTIVE, Role.TEARDOWN),
    python("horovod/runner/", "\\w*launch\\w*|run|_run\\w*|safe_shell_exec|execute|wait\\w*", "horovodrun",
           WaitKind.CHILD, Role.SPAWN, weight=_G),
    python("byteps/", "synchronize|push_pull\\w*|broadcast\\w*", r"bps.\g<0>", WaitKind.COLLECTIVE, Role.COLLECTIVE),
    native(r"horovod::common::(?:PerformOperation|OperationManager::Execute\w*|\w*(?:Allreduce|Allgather"
           r"|Broadcast|Alltoall|Adasum)\w*)|horovod_torch_wait|horovod::common::\w*(?:MPI|NCCL|Gloo)\w*",
           "a collective of Horovod", WaitKind.COLLECTIVE, Role.COLLECTIVE),
    native(r"horovod::common::.*(?:ComputeResponseList|CoordinateCacheAndState|RecvReadyTensors"
           r"|SendReadyTensors|RecvFinalTensors|SendFinalTensors)", "a collective of Horovod", WaitKind.COLLECTIVE,
           Role.COLLECTIVE, weight=_G,
           not_for="Every cycle of the background thread meets the other ranks here, also when nothing is to be "
           "reduced."),
    native(r"horovod::common::(?:\(anonymous namespace\)::)?(?:BackgroundThreadLoop|RunLoopOnce)", "", None, weight=_G,
           home=True),
    native(r"horovod::common::(?:InitializeHorovodOnce|horovod_init)", "hvd.init", WaitKind.RENDEZVOUS,
           Role.RENDEZVOUS),
    native(r"byteps::common::(?:\w+LoopOnce|\w+Loop)|ps::Van::\w+|ps::Postoffice::Barrier", "", None, weight=_G,
           home=True),
)  # fmt: skip
