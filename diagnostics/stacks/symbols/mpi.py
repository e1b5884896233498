"""MPI: Open MPI, MPICH and its relatives, mpi4py. https://www.mpi-forum.org/docs/mpi-4.1/mpi41-report.pdf"""

from diagnostics.model import Role, WaitKind
from diagnostics.stacks.symbol import Weight, native, python

PACKAGES = ("mpi4py",)
LIBRARIES = (
    r"^(lib(mpi\w*|open-pal|open-rte|pmix|ucp|uct|ucs|ucc|mpich|fabric|psm2|prrte|hwloc)|mca_\w+|MPI\.\w+)[\w.-]*$"
)
_G = Weight.GENERAL

SYMBOLS = (
    native(r"^event_base_loop|^pmix_\w+|^orte_\w+", "", None, Role.PROXY, weight=_G),
    native(r"^P?MPI_(?:I?)(Barrier)$", r"MPI_\1", WaitKind.COLLECTIVE, Role.COLLECTIVE, Role.BARRIER),
    native(r"^P?MPI_I?(Allreduce|Reduce|Bcast|Allgatherv?|Gatherv?|Scatterv?|Alltoall\w?|Reduce_scatter\w*"
           r"|Scan|Exscan|Neighbor_\w+)(?:_init|_c)?$", r"MPI_\1", WaitKind.COLLECTIVE, Role.COLLECTIVE),
    native(r"^P?MPI_(S?R?B?send|M?recv|Sendrecv\w*|Probe|Mprobe|Wait|Waitall|Waitany|Waitsome|Test\w*)(?:_c)?$",
           r"MPI_\1", WaitKind.COLLECTIVE, Role.COLLECTIVE),
    native(r"^P?MPI_(Init|Init_thread|Comm_(?:split\w*|dup\w*|create\w*|spawn\w*|connect|accept))$", r"MPI_\1",
           WaitKind.RENDEZVOUS, Role.RENDEZVOUS),
    native(r"^P?MPI_(Finalize|Abort|Comm_free|Comm_disconnect)$", r"MPI_\1", WaitKind.COLLECTIVE, Role.TEARDOWN),
    native(r"^P?MPI_(File_\w+)$", r"MPI_\1", WaitKind.FILE),
    native(r"^P?MPI_(Win_\w+|Fetch_and_op|Compare_and_swap|R?(?:Get|Put|Accumulate|Get_accumulate))(?:_c)?$", r"MPI_\1",
           WaitKind.SOCKET),
    native(r"^(?:ompi|mca)_coll_\w*?_(allreduce|reduce_scatter\w*?|reduce|barrier|bcast|allgatherv?|gatherv?|scatterv?"
           r"|alltoall[vw]?)_", r"MPI_\1", WaitKind.COLLECTIVE, Role.COLLECTIVE, weight=_G,
           not_for="A collective may be part of another operation, as of MPI_Comm_dup."),
    native(r"^progress_engine|^opal_(?:thread|event)_\w+loop|^pmix_\w*progress\w*|^listen_thread"
           r"|^ucs_async_thread\w*", "", None, Role.PROXY, weight=_G),
    native(r"^(?:opal_progress|(?:ompi|opal)_\w+|MPIR_\w+|MPIDI?_\w+|MPIDU_\w+|uc[pts]_\w+"
           r"|ompi_\w+|mca_\w+)$", "", None, weight=Weight.PRIMITIVE),
    python("mpi4py/futures/", "worker\\w*|server\\w*|client\\w*", "", None, Role.POOL_TASK, weight=_G, home=True),
)  # fmt: skip
