"""The chief has left, and a worker that makes a new session waits for its answer.

A session without device filters asks every rank of the cluster for its devices when it is made. A chief that has
reached its stop condition, saved and ended does not answer. What carries the cause: a process waits in
CreateSession although it has trained before, so the cluster was complete once. TensorFlow's log names the rank that
does not answer.
"""

from __future__ import annotations

from diagnostics.analyze.facts import Facts, names
from diagnostics.causes.base import Case, Cause, Remedy
from diagnostics.frameworks.tensorflow1.sessions import asked_for, trained_before
from diagnostics.model import Process, Role, State
from diagnostics.stacks.position import threads_with

_MAKING = ("CreateSession", "wait_for_session")
_CHIEFS = ("worker:0", "chief:0", "master:0")


def examine(facts: Facts) -> Case | None:
    asking = [process for process in facts.processes if _makes_session(process)]
    told = [(process, how) for process in asking if (how := trained_before(process))]
    if not told:
        return None
    case = Case("tf-chief-left-first")
    said = "makes a session, which waits for an answer of every rank"
    case.saw("asks", said, "stacks and log", names(asking))
    case.saw("trained-before", f"has trained before: {told[0][1]}", "log, recorder, connections", [told[0][0].rank])
    silent = {rank for process in asking for rank in asked_for(process)}
    if chiefs := silent & set(_CHIEFS):
        case.saw("chief-silent", "does not answer", "log", sorted(chiefs))
        case.title = f"{', '.join(sorted(chiefs))}, the chief, has left, and a new session waits for its answer"
    elif silent:
        case.saw("other-silent", "it is another rank than the chief that does not answer", "log", sorted(silent))
    else:
        case.needs("who does not answer: TensorFlow says so in the log of the waiting rank after 10 s")
    left = [process for process in facts.processes if process.rank in _CHIEFS and process.state is State.FINISHED]
    if left:
        case.saw("chief-finished", "has finished and left", "recorder", names(left))
    if dead := facts.dead:
        case.saw("dead", "ended before it had finished", "processes", names(dead))
    return case


def _makes_session(process: Process) -> bool:
    making = (position for _, position in threads_with(process, Role.RENDEZVOUS))
    return bool(asked_for(process)) or any(position.operation in _MAKING for position in making)


CAUSE = Cause(
    id="tf-chief-left-first",
    only="tensorflow",
    family="chief-gone",
    title="The chief has left, and a new session waits for its answer",
    examine=examine,
    not_to_be_confused_with=(
        "Before the first step it is the start that is stuck: `peer-startup`. A chief that crashed is `peer-dead`. "
        "That workers train on after the chief has saved is no hang, but the saved model lacks what they train."
    ),
    versions="Distributed TensorFlow 1, and tf.compat.v1 in 2; sessions without device filters",
    remedies=(
        Remedy(
            "epoch-barrier",
            "Let the chief wait for all workers at a barrier before it saves and leaves (scenario epoch-barrier)",
        ),
        Remedy(
            "device-filters",
            "Give every session device filters, the servers and itself: also those of evaluation and export",
        ),
        Remedy("check-saved-model", "See what the saved model holds: its global step against what was trained"),
    ),
    references=("https://github.com/tensorflow/tensorflow/issues/13337",),
    scenario="chief-first",
    search_for=(
        "CreateSession still waiting for response from worker: /job:worker/replica:0/task:0",
        "    tensorflow::LocalMaster::CreateSession(...)",
        "    tensorflow::GrpcSession::Create(...)",
    ),
)
