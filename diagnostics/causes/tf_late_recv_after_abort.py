"""A receive that is started while its step is being aborted escapes the abort, and waits for ever.

TensorFlow before 1.13 registers a receive with the step's rendezvous, then starts its RPC, which installs the cancel
callback. `BaseRemoteRendezvous::StartAbort`, run by the thread whose op failed (end of sequence), cancels what is
registered: a receive registered just after, or whose callback is not there yet, is missed. It does harm when
its server never runs the step, because another server's error cancelled that server's RunGraph first. Measured
with uprobes, see docs/last-batch.md.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts, evidence, input_end, names, quiet_links, stack_mentions
from diagnostics.causes import Case, Cause
from diagnostics.model import Process, State

_IN_STEP = ("LocalMaster::RunStep",)
_IN_STEP_REMOTE = ("GrpcRemoteMaster::RunStep",)
_WORKING = ("::Compute", "ExecutorState::Process", "IteratorGetNext", "DatasetIterator", "QueueBase::")


def examine(facts: Facts) -> Case | None:
    clients = facts.ranks_in(*_IN_STEP) or facts.ranks_in(*_IN_STEP_REMOTE)
    if not clients:
        return None
    case = Case(prior=-3.9)  # of jobs stuck in RunStep, few are stuck for this reason
    case.supports(0.0, evidence("the client waits in RunStep for its servers' parts of the step", "stacks", names(clients)))
    _look_at_end_of_input(case, clients)
    _look_at_servers(case, facts)
    _look_at_connections(case, clients)
    _look_at_release(case, facts)
    _look_at_work(case, facts)
    return case


def _look_at_end_of_input(case: Case, clients: tuple[Process, ...]) -> None:
    ended = [(process, said) for process in clients if (said := input_end(process.flight))]
    for process, said in ended:
        case.supports(3.0 if process is ended[0][0] else 0.0, evidence(said, "recorder", [process.rank]))
    if not ended and any(process.flight and process.flight.epoch_lengths for process in clients):
        case.speaks_against(1.5, evidence("the open step is not one in which the input ends", "recorder", names(clients)))
    elif not ended:
        case.lacks(
            "whether the input had ended in the step that hangs: run with the flight recorder, or look at the log "
            "for the epoch's last batch"
        )


def _look_at_servers(case: Case, facts: Facts) -> None:
    count = facts.expected_count("ps")
    if count == 1:
        case.speaks_against(3.0, evidence("there is only one server: nobody else's error can cancel its part", "roles"))
    elif count > 1:
        case.supports(0.3, evidence(f"{count} servers: one's error can cancel another's part of the step", "roles"))
    if not facts.servers:
        case.lacks("the servers' processes: attach to them as well, to see that they are alive and idle")
        return
    idle = [process for process in facts.servers if process.state is State.IDLE]
    gone = [process for process in facts.servers if process in facts.gone]
    if gone:
        case.speaks_against(4.0, evidence("a server is gone", "processes", names(gone)))
    elif facts.missing_ranks:
        case.lacks(f"the evidence of {', '.join(facts.missing_ranks)}")
    elif len(idle) == len(facts.servers):
        case.supports(1.0, evidence("every server is alive and idle: none works on the step", "two looks", names(idle)))
    else:
        busy = [process for process in facts.servers if process.state is not State.IDLE]
        case.speaks_against(1.0, evidence("a server is not idle", "two looks", names(busy)))


def _look_at_connections(case: Case, clients: tuple[Process, ...]) -> None:
    for process in clients:
        troubled = [link for link in process.connections if link.unsent or link.unacked or link.state == "SYN_SENT"]
        if troubled:
            peers = ", ".join(sorted({link.peer or link.remote for link in troubled}))
            case.speaks_against(2.5, evidence(f"data is on its way to {peers} and not acknowledged", "TCP_INFO", [process.rank]))
        quiet = list(quiet_links(process, 1.0))
        if quiet and not troubled:
            case.supports(
                1.0 if process is clients[0] else 0.0,
                evidence(
                    f"all its connections are sound, and nothing has moved on them for {min(t for _, t in quiet):.1f} s",
                    "TCP_INFO",
                    [process.rank],
                ),
            )
    if not any(process.connections for process in clients):
        case.lacks("the connections' quiet times (TCP_INFO): attach on the client's host while it hangs")


def _look_at_release(case: Case, facts: Facts) -> None:
    release = facts.release("tensorflow")
    said = ".".join(map(str, release))
    if not release:
        case.lacks("TensorFlow's release")
    elif release < (1, 13):
        case.supports(1.0, evidence(f"TensorFlow {said}: both windows of the race are open before 1.13", "versions"))
    elif release < (2,):
        case.speaks_against(0.7, evidence(f"TensorFlow {said}: from 1.13 only the narrower window is open", "versions"))
    else:
        case.speaks_against(2.0, evidence(f"TensorFlow {said}: not seen to hang in this way", "versions"))


def _look_at_work(case: Case, facts: Facts) -> None:
    stacks = [(process, thread) for process in facts.processes for thread in process.threads]
    working = {process.rank: name for process, thread in stacks if (name := stack_mentions(thread, _WORKING))}
    if working:
        rank, name = next(iter(working.items()))
        case.speaks_against(2.0, evidence(f"a thread is inside an op: {name}", "stacks", [rank]))
    elif any(frame.native for _, thread in stacks for frame in thread.frames):
        case.supports(0.5, evidence("no thread of any rank is inside an op", "native stacks", names(facts.processes)))
    else:
        case.lacks("native stacks of all threads")


CAUSE = Cause(
    id="tf-late-recv-after-abort",
    family="rendezvous-abort-race",
    title="A receive escaped the abort at the end of the input, and waits for a server that never runs the step",
    examine=examine,
    not_to_be_taken_for=(
        "Stacks alone look the same for a dead peer, a partition and starved synchronous training; without evidence "
        "that the step had already failed locally this cause is not named."
    ),
    versions="TensorFlow 1.4 to 1.12 (both windows); 1.13 to 1.15 (narrower window, not seen in 3,900 epoch ends)",
    remedy=(
        "Upgrade to TensorFlow 1.13 or newer (PR 23580 closes the wider window), better 1.15 or 2.x",
        "Until then, end each epoch by a step count below the end of the data, so that no error ends it",
        "Or use one parameter server",
        "Or set inter_op_parallelism_threads=1 on tf.train.Server (set on the session it has no effect there)",
    ),
    references=(
        "https://github.com/tensorflow/tensorflow/pull/23580",
        "https://github.com/tensorflow/tensorflow/issues/23846",
        "https://github.com/tensorflow/tensorflow/issues/26559",
        "https://github.com/tensorflow/tensorflow/issues/39015",
    ),
    scenario="last-batch",
)  # fmt: skip
