"""oneCCL, the collectives of Intel's devices."""

from diagnostics.model import Role, WaitKind
from diagnostics.stacks.symbol import Weight, native

LIBRARIES = r"^libccl[\w.-]*$"

SYMBOLS = (
    native(r"^ccl_(allgatherv?|allreduce|alltoallv?|broadcast|bcast|reduce_scatter|reduce|barrier|send|recv)(?:_impl)?$",
           r"ccl_\1", WaitKind.COLLECTIVE, Role.COLLECTIVE, weight=Weight.GENERAL, seen="2021.15"),
    native(r"^ccl_executor::wait|^ccl_wait_impl", "oneCCL's wait", WaitKind.COLLECTIVE, Role.COLLECTIVE,
           weight=Weight.GENERAL, seen="2021.15"),
)  # fmt: skip
