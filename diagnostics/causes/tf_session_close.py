"""Closing a session, or resetting a cluster, waits for the answer of ranks that have left.

The master of a session tells every rank that the session has seen that it ends, and waits until each has answered. A
rank that has ended does not. What carries the cause: the stack is in Close or Reset, which take milliseconds, and
nothing moved between two looks.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts, names, stack_mentions
from diagnostics.analyze.tf_steps import inside_operation
from diagnostics.analyze.thread_waits import stood_still
from diagnostics.causes.base import Case, Cause, Remedy
from diagnostics.model import Process, State, Thread

_CLOSING = (
    "Master::CloseSession", "GrpcSession::Close", "GrpcSession::Reset", "RemoteMaster::Reset", "Master::Reset",
    "MasterSession::Close", "TF_CloseSession", "TF_Reset",
)  # fmt: skip


def examine(facts: Facts) -> Case | None:
    closing = [(p, t, name) for p in facts.processes for t in p.threads if (name := stack_mentions(t, _CLOSING))]
    closing = [(p, t, name) for p, t, name in closing if p.state is not State.FINISHED]
    if not closing:
        return None
    case = Case("tf-session-close")
    ranks = tuple(dict.fromkeys(process.rank for process, _, _ in closing))
    case.saw("closing", f"is closing: {closing[0][2]}", "stacks", ranks)
    if all(_still(process, thread) for process, thread, _ in closing):
        case.saw(
            "not-scheduled", "has not moved between two looks, and closing takes milliseconds", "two samples", ranks
        )
    else:
        case.saw("moves", "moves, and may come to its end", "two samples", ranks)
    left = [process for process in facts.gone if process.rank not in ranks]
    if left or facts.missing_ranks:
        who = (*names(left), *facts.missing_ranks)
        case.saw("peer-left", "has left, and does not answer", "roll call", who)
    else:
        case.needs("which ranks of the cluster are still there: attach to all that its specification names")
    busy = [(process, name) for process, _, _ in closing if (name := inside_operation(process))]
    if busy:
        said = f"a step is still inside an operation, which closing waits for: {busy[0][1]}"
        case.saw("inside-operation", said, "stacks", [busy[0][0].rank])
    if any(process.state is State.HUNG for process, _, _ in closing):
        case.saw("hung", "it is silent for longer than its history allows", "recorder", ranks)
    return case


def _still(process: Process, thread: Thread) -> bool:
    return bool(process.samples) and stood_still(process, thread.tid)


CAUSE = Cause(
    id="tf-session-close",
    family="session-close-hang",
    title="Closing a session waits for the answer of a rank that has left",
    examine=examine,
    not_to_be_confused_with=(
        "Closing also waits for steps of other threads that are inside an operation: then that operation is the "
        "cause. A session that is being made, not closed, and waits for a rank is `peer-startup` or "
        "`tf-chief-left-first`."
    ),
    versions=(
        "Sessions without device filters. Closing: seen in 1.12, reported from 1.9 and 1.10, not in 2.21; "
        "Session.reset: seen in 1.12 and 2.21"
    ),
    remedies=(
        Remedy(
            "device-filters",
            "Give every session device filters (the servers and itself): it then knows of no other worker",
        ),
        Remedy("leave-together", "Let ranks leave together: a barrier after the last step, before anybody ends"),
        Remedy("do-not-close", "Do not close at the end of the program: save, then end the process"),
    ),
    references=("https://github.com/tensorflow/tensorflow/issues/21745",),
    scenario="session-close",
    search_for=(
        "    tensorflow::LocalMaster::CloseSession(...)",
        "    tensorflow::GrpcSession::Close()",
        "    TF_CloseSession",
        "    close (tensorflow/python/client/session.py:689)",
    ),
)
