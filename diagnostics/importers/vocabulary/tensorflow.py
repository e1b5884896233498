"""TensorFlow 1 and 2: sessions, coordination service, collective ops, queues.

Wordings: `distributed_runtime/master.cc`, `master_session.cc`, `grpc_server_lib.cc`, `collective_param_resolver_local.cc`,
`session_manager.py`, `coordination_service.cc` of TensorFlow 1.4 to 2.18 (TSL since 2.12).
"""

from __future__ import annotations

from diagnostics.importers.vocabulary.base import row
from diagnostics.model import FactKind

_TASK = r"/job:[\w.-]+(?:/replica:\d+)?/task:\d+"

ROWS = (
    row(
        FactKind.NOT_JOINED, "createsession still waiting for response from worker",
        rf"CreateSession still waiting for response from worker: (?P<tasks>{_TASK})",
        "the session cannot be made: {tasks} does not answer",
    ),
    row(
        FactKind.NOT_JOINED, "waiting for model to be ready",
        r"Waiting for model to be ready\.\s+Ready_for_local_init_op:\s*(?P<what>.{0,160})",
        "waits for the chief to initialize the model[: {what}]",
    ),
    row(
        FactKind.NOT_JOINED, "session was not ready after waiting",
        r"Session was not ready after waiting (?P<seconds>[\d.]+) secs", "the session was not ready after {seconds} s",
    ),
    row(
        FactKind.NOT_JOINED, "initialize grpcchannelcache for job",
        r"Initialize GrpcChannelCache for job (?P<role>\w+) -> \{(?P<addresses>[^}]*)\}?",
        "the cluster has the {role} tasks {addresses}",
    ),
    row(
        FactKind.NOT_JOINED, "started server with target",
        r"Started server with target: grpc://(?P<host>[\w.:-]+?):(?P<port>\d+)", "its server listens at {host}:{port}",
    ),
    row(
        FactKind.HEARTBEAT_LOST, "heartbeat timeout",
        rf"(?:Task )?(?P<tasks>{_TASK}) heartbeat timeout", "{tasks} sends no heartbeat: it failed, was preempted or hangs",
    ),
    row(
        FactKind.HEARTBEAT_LOST, "stopped sending heartbeats",
        rf"(?:tasks? (?:are unhealthy|.*have)|).*stopped sending heartbeats\)?:?\s*(?P<tasks>{_TASK}[\w/:, -]*)?",
        "tasks stopped sending heartbeats[: {tasks}]",
    ),
    row(
        FactKind.HEARTBEAT_LOST, "reported error to the coordinator",
        rf"(?P<tasks>{_TASK}) reported error to the coordinat\w+", "{tasks} reported an error to the coordinator",
    ),
    row(
        FactKind.NOT_JOINED, "barrier timed out",
        rf"Barrier timed out[.:]\s*(?:Id: |Barrier_id: )?(?P<barrier>[\w:.\[\]-]+?)\.?(?=[\s,]|$)(?:.*?# of tasks that reached the barrier: "
        rf"(?P<joined>\d+)/(?P<expected>\d+))?(?:.*?[Ss]ome timed out task names:\s*(?P<tasks>{_TASK}[\w/:, -]*))?"
        rf"(?:.*?timed out tasks (?P<ranks>[\d, .-]+))?",
        "the barrier {barrier} timed out[: {joined} of {expected} tasks came][; missing: {tasks}][; missing: {ranks}]",
    ),
    row(
        FactKind.NOT_JOINED, "reached the barrier",
        r"# of tasks that reached the barrier: (?P<joined>\d+)/(?P<expected>\d+)", "{joined} of {expected} tasks came to the barrier",
    ),
    row(
        FactKind.NOT_JOINED, "task:",
        rf"^\s*(?P<tasks>{_TASK})\s*$", "{tasks} is named in the list above",
    ),
    row(
        FactKind.CONNECTION_LOST, "collective ops is aborted by",
        r"Collective ops is aborted by: (?P<what>.{0,240})", "a collective was aborted by another worker: {what}",
    ),
    row(
        FactKind.CONNECTION_LOST, "failed to connect to all addresses",
        r"failed to connect to all addresses(?:; last error: (?P<what>.{0,200}))?",
        "a peer could not be reached[: {what}]",
    ),
    row(
        FactKind.CONNECTION_LOST, "connectivity with",
        r"(?:keepalive|watchdog|[Uu]navailable|lost).*[Cc]onnectivity with (?P<host>[\w.:-]+)", "the connection with {host} was lost",
    ),
    row(
        FactKind.CONNECTION_LOST, "socket closed",
        r"(?:UNAVAILABLE|Unavailable\w*).*Socket closed", "a connection of gRPC was closed: the peer has gone",
    ),
    row(
        FactKind.STUCK, "meets grpc error",  # Paddle's parameter servers
        r"ep:\[(?P<host>[\w.-]+):(?P<port>\d+)\].*meets grpc error: ?(?P<what>.{0,80})",
        "a call to {host}:{port} failed: {what}",
    ),
    row(
        FactKind.STUCK, "deadline exceeded",
        r"(?:DEADLINE_EXCEEDED|Deadline Exceeded)(?P<what>.{0,160})", "a call did not end in time{what}",
    ),
    row(
        FactKind.MISMATCH, "inconsistent collective",
        r"(?P<what>.{0,100}(?:[Ii]nconsistent|[Ii]ncompatible|mismatch).{0,60}(?:group|collective|instance).{0,100})", "{what}",
    ),
    row(
        FactKind.STUCK, "has waited more than",
        r"(?P<what>.{0,80}has (?:waited|been waiting) (?:for )?more than (?P<seconds>\d+) ?s.{0,120})", "{what}",
    ),
    row(
        FactKind.INPUT, "input ran out of data",
        r"Your input ran out of data", "the input ran out of data before the epoch's number of steps",
    ),
    row(
        FactKind.INPUT, "is closed and has insufficient elements",
        r"(?P<what>.{0,100}is closed and has insufficient elements \(requested (?P<asked>\d+), current size (?P<size>\d+)\))",
        "a queue of the input is closed: {asked} asked for, {size} there",
    ),
    row(
        FactKind.INPUT, "enqueue operation was cancelled",
        r"Enqueue operation was cancelled", "filling a queue of the input was cancelled",
    ),
    row(
        FactKind.STUCK, "coordinator stopped with threads still running",
        r"Coordinator stopped with threads still running: (?P<what>.{0,120})", "threads did not stop: {what}",
    ),
    row(
        FactKind.ENDED, "has previously failed",
        rf"(?P<tasks>{_TASK}).*has previously failed", "{tasks} failed before",
    ),
)  # fmt: skip
