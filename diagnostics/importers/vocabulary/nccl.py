"""NCCL's own lines (NCCL_DEBUG=WARN and INFO).

Wordings: `src/debug.cc`, `src/bootstrap.cc`, `src/transport/net_ib`, `net_socket`, `src/misc/socket.cc` of NCCL 2.3 to
2.29.
"""

from __future__ import annotations

from diagnostics.importers.vocabulary.base import row
from diagnostics.model import FactKind

ROWS = (
    row(
        FactKind.DEVICE, "nccl warn cuda failure",
        r"(?:(?P<node>[\w.-]+):(?P<pid>\d+):(?P<tid>\d+) \[(?P<device>\d+)\] )?.*NCCL WARN Cuda failure (?P<what>.{0,120})",
        "NCCL: a call to CUDA failed[ on device {device}]: {what}",
    ),
    row(
        FactKind.NOT_CONNECTED, "nccl warn",
        r"NCCL WARN .*[Cc]onnect(?:ion)? to (?P<host>[\w.:%-]+?)<(?P<port>\d+)>(?: ?(?P<what>failed.{0,80}))?",
        "NCCL could not connect to {host}:{port}[: {what}]",
    ),
    row(
        FactKind.NOT_CONNECTED, "nccl warn",
        r"NCCL WARN .*(?:[Cc]onnect(?:ion)? to (?P<host>[\w.:-]+?)(?:<(?P<port>\d+)>)?|No socket interface|Bootstrap) ?.*?"
        r"(?P<what>(?:failed|refused|timed out|No route to host|found).{0,80})",
        "NCCL could not connect[ to {host}][:{port}]: {what}",
    ),
    row(
        FactKind.CONNECTION_LOST, "nccl warn",
        r"NCCL WARN (?!.*Got completion).*(?P<what>Connection closed by remote peer.{0,120}|NET/Socket ?: .{0,140}|Call to .{0,140}failed.{0,60}|"
        r"recv(?:ed)? .{0,80}Connection reset.{0,60})",
        "NCCL lost a connection: {what}",
    ),
    row(
        FactKind.DEVICE, "nccl warn",
        r"NCCL WARN .*(?P<what>(?:Got completion (?:from peer [\w.<>:-]+ )?with (?:error|status=)|.*IBV_WC_|NET/IB.*async event|"
        r"Port error|GID table change).{0,160})",
        "NCCL: the network card failed: {what}",
    ),
    row(
        FactKind.MISMATCH, "nccl warn",
        r"NCCL WARN .*(?P<what>(?:[Mm]ismatch|Message truncated|.*different.*(?:count|size|type)).{0,140})", "NCCL: {what}",
    ),
    row(
        FactKind.DEVICE, "got completion",
        r"Got completion (?:from peer (?P<host>[\w.:-]+)(?:<(?P<port>\d+)>)? )?with (?:error |status=)(?P<status>\S+)(?:.*?\((?P<what>[^)]*)\))?",
        "NCCL: the network card gave a request[ to {host}][:{port}] up with status {status}",
    ),
    row(
        FactKind.DEVICE, "completed with error",
        r"NET/(?P<plugin>OFI|UCX|\w+) .{0,60}completed with error\.? ?(?P<what>.{0,120})",
        "NCCL: the network card failed ({plugin}): {what}",
    ),
    row(
        FactKind.NOT_JOINED, "failed to execute operation",
        r"Failed to execute operation (?P<operation>Init|Setup|Connect|SharedInit) from rank (?P<ranks>\d+)",
        "a connection of rank {ranks} could not be set up ({operation})",
    ),
    row(
        FactKind.NOT_JOINED, "nccl info init.cc",
        r"NCCL INFO init\.cc:\d+ -> (?P<code>[1-9]\d*)\b", "the NCCL communicator could not be made (error {code})",
    ),
    row(
        FactKind.NOT_JOINED, "has already checked in",
        r"Bootstrap Root : (?P<what>rank (?P<ranks>\d+) of (?P<expected>\d+) ranks has already checked in)",
        "two processes say that they are rank {ranks} of {expected}: {what}",
    ),
    row(
        FactKind.ERROR, "nccl warn",
        r"NCCL WARN (?P<what>.{1,240})", "NCCL: {what}",
    ),
)  # fmt: skip
