"""How people say the names under which frameworks record collective operations. Pure."""

import re

_SPOKEN = {
    "allreduce": "all_reduce",
    "allgather": "all_gather",
    "alltoall": "all_to_all",
    "reducescatter": "reduce_scatter",
    "allgatherintotensor": "all_gather_into_tensor",
    "reducescattertensor": "reduce_scatter_tensor",
    "alltoallsingle": "all_to_all_single",
    "allgatherbase": "all_gather_into_tensor",
    "reducescatterbase": "reduce_scatter_tensor",
    "allreducecoalesced": "all_reduce_coalesced",
    "alltoallbase": "all_to_all_single",
    "bcast": "broadcast",
}


def spoken(recorded: str) -> str:
    """`ALLREDUCE`, `nccl:all_reduce`, `_ALLGATHER_BASE`, `ncclAllReduce` -> `all_reduce`, ..."""
    name = re.sub(r"^(?:p?nccl|gloo|c10d|mpi)[:_ ]*(?=[A-Za-z])", "", recorded.strip().rpartition(":")[2], flags=re.I)
    return _SPOKEN.get(name.replace("_", "").lower(), name.lower().strip("_"))


_TO_ONE = re.compile(r"i?(send|recv)")


def partner_is_to(operation: str) -> str:
    """What the one rank that ends such a call has to do, "send" or "receive"; "" where it is no call between two."""
    match = _TO_ONE.match(operation.lower().rpartition(":")[2].lstrip("_"))
    return "" if match is None else "receive" if match[1] == "send" else "send"
