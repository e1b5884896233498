"""Gloo, and torch's way into it."""

from diagnostics.model import Role, WaitKind
from diagnostics.stacks.symbol import Symbol, Weight, native

LIBRARIES = r"^libgloo[\w.-]*$"
_PLAIN = {
    "allreduce": "all_reduce",
    "allgather": "all_gather",
    "allgatherv": "all_gather",
    "alltoall": "all_to_all",
    "alltoallv": "all_to_all",
    "reducescatter": "reduce_scatter",
    "reduce_scatter": "reduce_scatter",
    "broadcast": "broadcast",
    "reduce": "reduce",
    "gather": "gather",
    "gatherv": "gather",
    "scatter": "scatter",
    "send": "send",
    "recv": "recv",
}


def _work(name: str, operation: str) -> Symbol:
    return native(
        rf"Async(?i:Sparse)?(?i:{name})(?i:Coalesced)?(?:CUDA)?Work::", operation, WaitKind.COLLECTIVE, Role.COLLECTIVE
    )


def _algorithm(name: str, operation: str) -> Symbol:
    return native(rf"gloo::{name}(?:$|\(|<)", operation, WaitKind.COLLECTIVE, Role.COLLECTIVE)


SYMBOLS = (
    native(r"AsyncBarrier(?:CUDA)?Work::|gloo::barrier", "barrier", WaitKind.COLLECTIVE, Role.COLLECTIVE, Role.BARRIER),
    *(_work(name, operation) for name, operation in _PLAIN.items()),
    *(_algorithm(name, operation) for name, operation in _PLAIN.items()),
    native(r"ProcessGroupGloo::runLoop", "", None, weight=Weight.GENERAL, home=True),
    native(r"gloo::transport::(?:tcp|uv)::(?:Loop::run|tls::)|gloo::transport::uv::Device", "", None, Role.PROXY,
           weight=Weight.GENERAL, home=True),
    native(r"gloo::transport::\w+::(?:Unbound)?Buffer::wait(?:Send|Recv)", "", WaitKind.COLLECTIVE, Role.COLLECTIVE,
           weight=Weight.GENERAL),
    native(r"gloo::rendezvous::Context::connectFullMesh|gloo::transport::tcp::Pair::(?:connect"
           r"|waitUntilConnected)|gloo::rendezvous::", "connection of the group", WaitKind.RENDEZVOUS, Role.RENDEZVOUS),
)  # fmt: skip
