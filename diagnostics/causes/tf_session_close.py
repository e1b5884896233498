"""Closing a session, or resetting a cluster, waits for the answer of ranks that have left.

The master of a session tells every rank that the session has seen that it ends, and waits until each has answered.
A rank that has ended does not. What carries the cause: a thread closes a session, which takes milliseconds, and
nothing moved between two samples.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts, names
from diagnostics.analyze.progress import is_server
from diagnostics.causes.base import Case, Cause, Remedy
from diagnostics.causes.observe import At, look_at_stillness, may_be_stuck, threads_at
from diagnostics.model import Role, State, WaitKind


def examine(facts: Facts) -> Case | None:
    closing = [at for p in facts.processes if may_be_stuck(p) for at in threads_at(p) if _closes(at)]
    if not closing:
        return None
    case = Case("tf-session-close")
    ranks = tuple(dict.fromkeys(at.process.rank for at in closing))
    case.saw("closing", f"is closing a session: {closing[0].where}", "stacks", ranks)
    look_at_stillness(case, closing[0].process, closing[:1])
    left = [process for process in facts.gone if process.rank not in ranks]
    if dead := [process for process in left if process.state is State.DEAD]:
        case.saw("peer-dead", "ended before it had finished: then that is the cause", "processes", names(dead))
    if servers := [one.rank for one in facts.lost if is_server(one.rank)]:
        case.saw("peer-dead", "a server has ended: then that is the cause", "memory of TensorFlow", servers)
    if left or facts.missing_ranks:
        who = (*names(left), *facts.missing_ranks)
        case.saw("peer-left", "has left, and does not answer", "coverage", who)
    else:
        case.needs("which ranks of the cluster are still there: attach to all that its specification names")
    others = (one for at in closing for one in threads_at(at.process) if one not in closing)
    if busy := next((one for one in others if one.position.has(Role.OPERATION)), None):
        said = f"a step is still inside an operation, which closing waits for: {busy.where}"
        case.saw("inside-operation", said, "stacks", [busy.process.rank])
    return case


def _closes(at: At) -> bool:
    return at.position.has(Role.TEARDOWN) and at.position.waits is WaitKind.STEP


CAUSE = Cause(
    id="tf-session-close",
    only="tensorflow",
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
