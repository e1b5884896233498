"""A receive that is started while its step is being aborted escapes the abort, and waits for ever.

TensorFlow registers a receive with the step's rendezvous, then starts its RPC, which installs the cancel callback.
`BaseRemoteRendezvous::StartAbort`, run by the thread whose op failed (end of sequence), cancels what is registered:
a receive registered just after (window A, before 1.13), or whose callback is not there yet (window B, before 2.3),
is missed. It does harm when its server never runs the step, because another server's error cancelled that server's
RunGraph first. Measured with uprobes, see docs/last-batch.md and docs/window-b.md.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts, input_end, names
from diagnostics.analyze.progress import MAY_BE_STUCK, is_frozen, is_server, is_stopped
from diagnostics.causes.base import Case, Cause, Remedy
from diagnostics.causes.steps import inside_operation, remote_steps
from diagnostics.model import Connection, Process, State
from diagnostics.model.trace import TraceResult, TraceVerdict

_QUIET = 1.0  # seconds


def examine(facts: Facts) -> Case | None:
    # One that trains on is in RunStep most of the time, and often at the end of its input.
    clients = tuple(process for process in facts.processes if process.state in MAY_BE_STUCK and remote_steps(process))
    trace = facts.collection.trace
    if not clients and not (trace and trace.verdict is TraceVerdict.PROVEN):
        return None
    case = Case("tf-late-recv-after-abort")  # of jobs stuck in RunStep, few are stuck for this reason
    said = "the client waits in RunStep for its servers' parts of the step"
    case.saw("waits", said, "stacks", names(clients))
    if stopped := [process for process in clients if is_stopped(process) or is_frozen(process)]:
        case.saw("client-stopped", "the client itself is stopped or frozen", "procfs", names(stopped))
    _look_at_end_of_input(case, clients)
    _look_at_servers(case, facts, clients)
    _look_at_connections(case, facts, clients)
    _look_at_release(case, facts)
    _look_at_work(case, facts, clients)
    _look_at_trace(case, trace)
    return case


def _look_at_trace(case: Case, trace: TraceResult | None) -> None:
    if trace is None or trace.probe_set not in ("rendezvous", "all-receives"):
        return
    source = "memory" if trace.method == "memory" else f"live trace ({trace.method})"
    if trace.verdict is TraceVerdict.PROVEN:
        stuck = [call for call in trace.escaped if not call.came_back]
        case.saw("proven", f"proven: {trace.why}", source, dict.fromkeys(call.rank for call in stuck))
        if trace.did_not_run:
            case.saw("did-not-run", "never ran the step that the others ran", source, trace.did_not_run)
    elif trace.verdict is TraceVerdict.REFUTED:
        case.saw("refuted", f"refuted: {trace.why}", source)
    else:
        case.needs(f"a trace that shows the race: {trace.why}")


def _look_at_end_of_input(case: Case, clients: tuple[Process, ...]) -> None:
    ended = [(process, said) for process in clients if (said := input_end(process.flight))]
    for process, said in ended:
        case.saw("input-ended", said, "recorder", [process.rank])
    at_end = [process for process, _ in ended]
    elsewhere = [p for p in clients if p not in at_end and p.flight and p.flight.epoch_lengths]
    if elsewhere:
        # Several clients at once, and not all at their end: what holds them all is something else.
        said = "it does not hang in a step in which the input ends"
        case.saw("input-not-ended", said, "recorder", names(elsewhere))
    elif not ended:
        case.needs(
            "whether the input had ended in the step that hangs: run with the flight recorder, or look at the log "
            "for the epoch's last batch"
        )


def _look_at_servers(case: Case, facts: Facts, clients: tuple[Process, ...]) -> None:
    count = facts.expected_count("ps")
    if count == 1:
        said = "there is only one server: nobody else's error can cancel its part"
        case.saw("one-server", said, "roles")
    elif count > 1:
        case.saw("servers", f"{count} servers: one's error can cancel another's part of the step", "roles")
    unseen = [rank for rank in facts.missing_ranks if is_server(rank)]
    if unseen or not facts.servers:
        case.saw("server-unseen", "a server was not looked at, and may be gone", "coverage", unseen)
        case.needs(f"{', '.join(unseen) or 'the servers'}: attach there as well, to see that they are alive and idle")
    elif gone := [process for process in facts.servers if process in facts.gone]:
        case.saw("server-gone", "a server is gone", "processes", names(gone))
    elif hung := [process for process in facts.servers if process in facts.hung]:
        case.saw("server-hangs", "a server hangs itself, or is stopped", "two samples", names(hung))
    elif unknown := [process for process in facts.servers if process.state is State.UNKNOWN]:
        case.needs(f"two samples of {', '.join(names(unknown)[:6])}, to see whether they are idle")
    elif all(process.state is State.IDLE for process in facts.servers):
        said = "every server is alive and idle: none works on the step"
        case.saw("servers-idle", said, "two samples", names(facts.servers))
    elif training := _training(facts, clients):
        said = f"every server is alive, and serves {', '.join(names(training)[:6])}"
        case.saw("servers-serve", said, "two samples", names(facts.servers))
    else:
        busy = [process for process in facts.servers if process.state is not State.IDLE]
        case.saw("server-busy", "a server is not idle", "two samples", names(busy))


def _training(facts: Facts, clients: tuple[Process, ...]) -> tuple[Process, ...]:
    """Ranks that train on while the clients are stuck."""
    moving = (State.PROGRESSING, State.SLOW)
    return tuple(p for p in facts.processes if p.state in moving and not is_server(p.rank) and p not in clients)


def _look_at_connections(case: Case, facts: Facts, clients: tuple[Process, ...]) -> None:
    if not any(process.connections for process in clients):
        case.needs("the connections' quiet times (TCP_INFO): attach on the client's host while it hangs")
        return
    # What a server has sent and nobody acknowledged is seen at the server only.
    ranks = names(clients)
    connections = [(process, connection) for process in clients for connection in process.connections]
    connections += [(process, one) for process in facts.servers for one in process.connections if one.peer in ranks]
    troubled = [(process, connection) for process, connection in connections if _in_trouble(connection)]
    for process, connection in troubled[:4]:
        said = f"data is on its way to {connection.peer or connection.remote} and not acknowledged"
        case.saw("data-on-its-way", said, "TCP_INFO", [process.rank])
    apart = [rank for process in clients for rank in _not_linked(process, facts.servers, connections)]
    if apart:
        said = f"there is no connection to {', '.join(dict.fromkeys(apart[:6]))}"
        case.saw("not-connected", said, "TCP_INFO", ranks)
    quiet = [one.quiet for process, one in connections if process in clients and one.state == "ESTABLISHED"]
    known = [age for age in quiet if age >= 0]
    if known and min(known) >= _QUIET and not troubled and not apart:
        said = f"all its connections are sound, and nothing has moved on them for {min(known):.1f} s"
        case.saw("connections-sound", said, "TCP_INFO", ranks)


def _in_trouble(connection: Connection) -> bool:
    return bool(connection.unsent or connection.unacked) or connection.state == "SYN_SENT"


def _not_linked(
    client: Process, servers: tuple[Process, ...], connections: list[tuple[Process, Connection]]
) -> tuple[str, ...]:
    """Servers to which the client has no connection, from whichever side; none where peers are not known."""
    sound = [(process, connection) for process, connection in connections if connection.state == "ESTABLISHED"]
    linked = {connection.peer for process, connection in sound if process is client} - {""}
    linked |= {process.rank for process, connection in sound if connection.peer == client.rank}
    return tuple(server.rank for server in servers if server.rank not in linked) if linked else ()


def _look_at_release(case: Case, facts: Facts) -> None:
    release = facts.release("tensorflow")
    said = ".".join(map(str, release))
    if not release:
        case.needs("TensorFlow's release")
    elif release < (1, 13):
        case.saw("both-windows", f"TensorFlow {said}: both windows of the race are open before 1.13", "versions")
    elif release < (2, 3):
        said = f"TensorFlow {said}: from 1.13 to 2.2 only the narrower window is open, which is hit more rarely"
        case.saw("narrow-window", said, "versions")
    else:
        case.saw("windows-closed", f"TensorFlow {said}: both windows are closed since 2.3", "versions")


def _look_at_work(case: Case, facts: Facts, clients: tuple[Process, ...]) -> None:
    """Work of servers says nothing where they serve others besides."""
    looked_at = clients if _training(facts, clients) else (*clients, *facts.servers)
    working = {process.rank: where for process in looked_at if (where := inside_operation(process))}
    if working:
        rank, where = next(iter(working.items()))
        case.saw("inside-operation", f"a thread is inside an op: {where}", "stacks", [rank])
    elif any(frame.native for process in looked_at for thread in process.threads for frame in thread.frames):
        case.saw("no-operation", "no thread is inside an op", "native stacks", names(looked_at))
    else:
        case.needs("native stacks of all threads")


CAUSE = Cause(
    id="tf-late-recv-after-abort",
    only="tensorflow",
    family="rendezvous-abort-race",
    title="A receive escaped the abort at the end of the input, and waits for a server that never runs the step",
    examine=examine,
    not_to_be_confused_with=(
        "Stacks alone look the same for a dead peer, a partition and starved synchronous training; without evidence "
        "that the step had already failed locally this cause is not named."
    ),
    versions=(
        "TensorFlow 1.4 to 1.12 (both windows of the race); 1.13 to 2.2 (the narrower one; hung on 1.13.2, and on "
        "1.15.5 where the input is on a server)"
    ),
    remedies=(
        Remedy(
            "upgrade",
            "Upgrade to TensorFlow 2.3 or newer, which closes both windows",
        ),
        Remedy("upgrade-1.13", "Or to 1.13, which closes only the wider one (PR 23580)"),
        Remedy(
            "stop-by-count",
            "Until then, end each epoch by a step count below the end of the data, so that no error ends it",
        ),
        Remedy("one-server", "Or use one parameter server"),
        Remedy(
            "one-inter-op-thread",
            "Or set inter_op_parallelism_threads=1 on tf.train.Server (set on the session it has no effect there)",
        ),
    ),
    references=(
        "https://github.com/tensorflow/tensorflow/pull/23580",
        "https://github.com/tensorflow/tensorflow/issues/23846",
        "https://github.com/tensorflow/tensorflow/issues/26559",
        "https://github.com/tensorflow/tensorflow/issues/39015",
    ),
    scenario="last-batch",
    search_for=(
        '    nsync::nsync_mu_semaphore_p_with_deadline(...)',
        '    tensorflow::MasterSession::ReffedClientGraph::RunPartitionsHelper(...)',
        '    tensorflow::LocalMaster::RunStep(...)',
        '    tensorflow::GrpcSession::Run(...)',
        '    _call_tf_sessionrun (tensorflow/python/client/session.py:1407)',
    ),
)  # fmt: skip
