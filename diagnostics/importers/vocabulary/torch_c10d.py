"""PyTorch's c10d: sockets, TCPStore, gloo, monitored barriers, ProcessGroupWrapper.

Wordings: `socket.cpp`, `TCPStore.cpp`, `TCPStoreLibUvBackend.cpp`, `ProcessGroupGloo.cpp`, `ProcessGroupWrapper.cpp` of
PyTorch 1.8 to 2.11, gloo's `transport/tcp`, `torch/distributed/distributed_c10d.py`.
"""

from __future__ import annotations

from diagnostics.importers.vocabulary.base import row
from diagnostics.model import FactKind

_HOST = r"(?P<host>\[?[\w.:%-]+?\]?)"

ROWS = (
    row(
        FactKind.NOT_CONNECTED, "client socket has timed out",
        r"client socket has timed out after (?P<limit>\d+ ?m?s) while trying to connect to \(?" + _HOST
        + r"(?:, |:)(?P<port>\d+)(?!\d)",
        "nobody answered at {host}:{port} within {limit}",
    ),
    row(
        FactKind.NOT_CONNECTED, "timed out trying to connect to",  # Dask
        r"Timed out trying to connect to '?(?:tcp|tls|ucx)://" + _HOST + r":(?P<port>\d+)'? after (?P<limit>[\d.]+ s)",
        "nobody answered at {host}:{port} within {limit}",
    ),
    row(
        FactKind.NOT_CONNECTED, "name or service not known",
        r"(?:host not found|getaddrinfo.{0,60}|Failed to resolve '?(?P<host>[\w.-]+)'?.{0,40}?)?: ?(?:\[Errno -2\] )?"
        r"Name or service not known",
        "the name of a host could not be resolved[: {host}]",
    ),
    row(
        FactKind.STATUS, "is connected to",
        r"\[Gloo\] Rank (?P<rank>\d+) is connected to (?P<joined>\d+) peer ranks\. Expected number of connected peer ranks "
        r"is : (?P<expected>\d+)(?!\d)",
        "rank {rank}: gloo is connected with {joined} of {expected} others",
    ),
    row(
        FactKind.NOT_CONNECTED, "client socket has failed to connect to",
        r"client socket has failed to connect to (?:any network address of )?[(\[]?" + _HOST
        + r"[\]]?(?:\)|:|, )\(?(?P<port>\d+)\)?(?: \(errno: (?P<errno>\d+) - (?P<what>[^)]*)\))?",
        "a connection to {host}:{port} could not be made[: {what}]",
    ),
    row(
        FactKind.NOT_CONNECTED, "failed to connect/validate to host",
        r"TCP client failed to connect/validate to host " + _HOST + r":(?P<port>\d+) - (?P<what>[^:(]*)",
        "nobody answered at {host}:{port}: {what}",
    ),
    row(
        FactKind.NOT_CONNECTED, "no retries left",
        r"connect\(\) .*?(?:to|address) \[?" + _HOST + r"\]?:(?P<port>\d+)", "a connection to {host}:{port} could not be made",
    ),
    row(
        FactKind.NOT_CONNECTED, "server socket has failed to listen",
        r"server socket has failed to (?:listen|bind) (?:on|to) (?:any local network address|" + _HOST
        + r":(?P<port>\d+))(?:.*port: (?P<taken>\d+))?(?:.*errno: (?P<errno>\d+) - (?P<what>[^),]*))?",
        "its store could not listen[ on port {port}][ on port {taken}][: {what}]",
    ),
    row(
        FactKind.NOT_CONNECTED, "eaddrinuse",
        r"EADDRINUSE|errno: 98 - (?P<what>Address already in use)", "its port is already in use",
    ),
    row(
        FactKind.NOT_JOINED, "waiting for clients",
        r"Timed out after (?P<seconds>\d+) seconds waiting for clients\. (?P<joined>\d+)/(?P<expected>\d+) clients joined",
        "{joined} of {expected} ranks joined within {seconds} s",
    ),
    row(
        FactKind.NOT_JOINED, "timed out initializing process group in store based barrier",
        r"Timed out initializing process group in store based barrier on rank:? (?P<rank>\d+)(?:, for key: (?P<key>\S+))? "
        r"\(world_size=(?P<expected>\d+), (?:worker_count|num_workers_joined)=(?P<joined>\d+), timeout=(?P<limit>[^)]*)\)",
        "rank {rank}: {joined} of {expected} ranks came to the barrier of init_process_group within {limit}",
    ),
    row(
        FactKind.NOT_JOINED, "waiting in store based barrier",
        r"Waiting in store based barrier to initialize process group for (?:(?P<seconds>\d+) seconds|rank: (?P<rank>\d+),"
        r" key: (?P<key>\S+) \(world_size=(?P<expected>\d+), num_workers_joined=(?P<joined>\d+))",
        "[rank {rank}: ][{joined} of {expected} ranks have come ]to the barrier of init_process_group, and it waits",
    ),
    row(
        FactKind.NOT_JOINED, "wait timeout after",
        r"wait timeout after (?P<limit>\d+ms), keys: (?P<key>\S+)",
        "nobody set the key {key} of the store within {limit}",
    ),
    row(
        FactKind.NOT_JOINED, "socket timeout",
        r"Socket Timeout", "the store of the job did not answer in time (socket timeout)",
    ),
    row(
        FactKind.NOT_JOINED, "connection to the c10d store has failed",
        r"connection to the C10d store has failed", "the launcher could not reach the store of its rendezvous",
    ),
    row(
        FactKind.NOT_JOINED, "original timeout was",
        r"connect\(\) timed out\. Original timeout was (?P<limit>\d+ ms)", "nobody answered a connection within {limit}",
    ),
    row(
        FactKind.NOT_JOINED, "rendezvoustimeouterror",
        r"RendezvousTimeoutError", "the rendezvous of the launcher timed out: not all nodes came",
    ),
    row(
        FactKind.ENDED, "rendezvousclosederror",
        r"RendezvousClosedError", "the rendezvous of the launcher was closed: another agent has ended the job",
    ),
    row(
        FactKind.CONNECTION_LOST, "failed to recv, got 0 bytes",
        r"failed to recv, got 0 bytes", "the store of the job closed the connection: the process that has it has gone",
    ),
    row(
        FactKind.CONNECTION_LOST, "sendbytes failed",
        r"sendBytes failed on SocketImpl\((?P<what>[^)]*)\).*?: (?P<error>[\w ]+)",
        "sending to the store failed ({what}): {error}",
    ),
    row(
        FactKind.CONNECTION_LOST, "recvvalue failed on",
        r"recvValue failed on SocketImpl\((?P<what>[^)]*)\)", "reading from the store failed ({what})",
    ),
    row(
        FactKind.CONNECTION_LOST, "failed to check the \"should dump\" flag on tcpstore",
        r"Failed to check the \"should dump\" flag on TCPStore", "the store of the job, which rank 0 serves, is gone",
    ),
    row(
        FactKind.CONNECTION_LOST, "connection closed by peer",
        r"Connection closed by peer \[(?P<host>[\w.:%-]+)\](?::(?P<port>\d+))?",
        "the rank at {host}[:{port}] closed its connection: it ended, or gave up first",
    ),
    row(
        FactKind.CONNECTION_LOST, "connection reset by peer",
        r"(?:\[(?P<host>[\w.:%-]+)\]:(?P<port>\d+)(?!\d)[^\[\]]*|from (?P<peer>[\w.:%-]+<\d+>).*)?Connection reset by peer",
        "a connection[ to {host}:{port}][ to {peer}] was reset by the other end",
    ),
    row(
        FactKind.TIMED_OUT, "timed out waiting",
        r"(?:gloo\S*\] )?Timed out waiting (?P<limit>\d+ms) for (?P<operation>recv|send|any recv) operation to complete",
        "a {operation} of gloo did not complete within {limit}",
    ),
    row(
        FactKind.TIMED_OUT, "application timeout caused pair closure",
        r"Application timeout caused pair closure", "gloo closed its connections after its own timeout",
    ),
    row(
        FactKind.NOT_CONNECTED, "connectfullmesh failed",
        r"connectFullMesh failed with (?P<what>.{0,160})", "gloo could not connect all ranks: {what}",
    ),
    row(
        FactKind.NOT_CONNECTED, "so_error",
        r"(?:connect \[?" + _HOST + r"\]?:(?P<port>\d+).*|SO_ERROR: )(?P<what>No route to host|Connection refused|Connection timed out|"
        r"Network is unreachable)(?:, remote=\[?(?P<remote>[\w.:%-]+)\]?:?(?P<rport>\d+)?)?",
        "a connection[ to {host}:{port}][ to {remote}][:{rport}] could not be made: {what}",
    ),
    row(
        FactKind.ABSENT, "failed to pass monitoredbarrier",
        r"Ranks? (?P<ranks>\d[\d, ]*) failed to pass monitoredBarrier in (?P<limit>\d+ ms)",
        "rank {ranks} did not come to the monitored barrier within {limit}",
    ),
    row(
        FactKind.ABSENT, "rank 0 timed out in monitoredbarrier",
        r"\[Rank 0\] timed out in monitoredBarrier after (?P<limit>\d+) ms.*?(?:Successfully processed ranks: (?P<came>[\d, ]+))?",
        "rank 0 gave up in the monitored barrier after {limit} ms[; ranks {came} had come]",
    ),
    row(
        FactKind.MISMATCH, "detected mismatch between collectives on ranks",
        r"Detected mismatch between collectives on ranks\.? Rank (?P<rank>\d+) is running collective: "
        r"(?:CollectiveFingerPrint\()?(?:SequenceNumber=(?P<number>\d+),? ?)?OpType=(?P<operation>[A-Z_0-9]+?)"
        r"(?:, TensorShape=\[(?P<shape>[\d, ]*)\][^()]*(?:\((?:[^()]|\([^()]*\))*\)[^()]*)*)?\)*,? but Rank (?P<other>\d+) is running collective: "
        r"(?:CollectiveFingerPrint\()?(?:SequenceNumber=(?P<other_number>\d+),? ?)?OpType=(?P<other_operation>[A-Z_0-9]+)"
        r"(?:, TensorShape=\[(?P<other_shape>[\d, ]*)\])?",
        "rank {rank} runs {operation}[ of shape {shape}][ (number {number})], rank {other} runs {other_operation}"
        "[ of shape {other_shape}][ (number {other_number})]",
    ),
    row(
        FactKind.STATUS, "running collective: collectivefingerprint(",
        r"\[Rank (?P<rank>\d+)\] Running collective: CollectiveFingerPrint\((?:SequenceNumber=(?P<number>\d+), ?)?"
        r"OpType=(?P<operation>[A-Z_0-9]+)(?:, TensorShape=\[(?P<shape>[\d, ]*)\])?[,)]",
        "rank {rank} called {operation}[ {number}][ of shape {shape}]",
    ),
    row(
        FactKind.MISMATCH, "collectives differ in the following aspects",
        r"Collectives differ in the following aspects:\s*(?P<what>.{0,300})", "the collectives differ: {what}",
    ),
    row(
        FactKind.ABSENT, "received errors while waiting for send/recv from rank 0",
        r"Rank (?P<rank>\d+) successfully reached monitoredBarrier.*from rank 0",
        "rank {rank} came to the monitored barrier, and rank 0 did not answer it",
    ),
)  # fmt: skip
