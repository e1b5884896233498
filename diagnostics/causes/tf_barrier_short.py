"""Workers wait at a barrier of tokens, and a token is missing: a rank left without its own, or they were counted
wrong.

A queue on a server makes a barrier in graph-mode TensorFlow: ranks put tokens as they arrive, and one takes as many
as it expects. A dequeue waits without a thread, so all stacks show RunStep and idle servers. What carries the
cause: the place says that it is a barrier (the recorder's open span or the program's own function), and nobody may
still come.
"""

from __future__ import annotations

from collections.abc import Sequence

from diagnostics.analyze.facts import Facts, input_end, names
from diagnostics.causes.base import Case, Cause, Remedy
from diagnostics.causes.steps import Roles, look_at_others, look_at_sound_rest, says_that_it_meets
from diagnostics.model import Process


def examine(facts: Facts) -> Case | None:
    roles = Roles(facts)
    alone = len(roles.clients) + len(roles.others) < 2
    if not roles.clients or (alone and not any(map(_is_at_barrier, roles.clients))):
        return None
    case = Case("tf-barrier-short")
    said = "waits in a step on its servers, as a dequeue does"
    case.saw("waits", said, "stacks", names(roles.clients))
    _look_at_place(case, roles.clients)
    left = look_at_others(case, roles.others)
    if len(roles.clients) > 1 and not roles.others:
        said = f"all {len(roles.clients)} workers wait at once: each for what only another could give"
        case.saw("all-wait", said, "stacks", names(roles.clients))
    elif not left and not roles.others:
        case.saw("alone", "no other worker is known that it could wait for", "roles")
    look_at_sound_rest(case, facts, roles)
    if at_end := [process for process in roles.clients if input_end(process.flight)]:
        case.saw("at-end", "its own input ends in this step", "recorder", names(at_end))
    case.needs("how many tokens the barrier's queue holds and how many are waited for: the program's code tells")
    return case


def _is_at_barrier(process: Process) -> bool:
    recorded = process.flight and any(span.kind == "barrier" for span in process.flight.open)
    return bool(recorded or says_that_it_meets(process))


def _look_at_place(case: Case, clients: Sequence[Process]) -> None:
    recorded = [(p, span) for p in clients if p.flight for span in p.flight.open if span.kind == "barrier"]
    if recorded:
        ranks = names(process for process, _ in recorded)
        span = recorded[0][1]
        case.saw("in-barrier", f"is in the barrier {span.label!r} for {span.seconds:.0f} s", "recorder", ranks)
    called = [(p, name) for p in clients if (name := says_that_it_meets(p))]
    if called:
        ranks = names(process for process, _ in called)
        case.saw("called-from", f"is called from a function named {called[0][1]}", "stacks", ranks)
    elsewhere = [p for p in clients if p not in [process for process, _ in (*recorded, *called)]]
    if elsewhere and (recorded or called):
        case.saw("waits-elsewhere", "waits elsewhere", "stacks", names(elsewhere))
    if not recorded and not called:
        case.needs("whether it waits at a barrier: look at the program's line, or mark it with recorder.barrier(name)")


CAUSE = Cause(
    id="tf-barrier-short",
    only="tensorflow",
    family="sync-starvation",
    title="Workers wait at a barrier of tokens, and a token is missing",
    examine=examine,
    not_to_be_confused_with=(
        "A worker that is still on its way makes the others wait, too, and that is what a barrier is for. Stacks do "
        "not tell a dequeue from any other wait for a server, so without the name of the place this cause is not named."
    ),
    versions="Graph-mode TensorFlow, 1 and tf.compat.v1 in 2, wherever queues are used as a barrier",
    remedies=(
        Remedy(
            "count-tokens",
            "Count the tokens: as many are to be taken as ranks come to the barrier, the chief's own among them",
        ),
        Remedy("token-on-error", "Put the token also on the way out of an error: try/finally around the epoch"),
        Remedy(
            "operation-timeout",
            "Give the wait a timeout (operation_timeout_in_ms of the session) and say in the log who is missing",
        ),
    ),
    references=(
        "https://www.tensorflow.org/versions/r1.15/api_docs/python/tf/FIFOQueue",
        "https://github.com/tensorflow/tensorflow/issues/4713",
    ),
    scenario="barrier-short",
    search_for=(
        "    tensorflow::LocalMaster::RunStep(...)",
        "    tensorflow::GrpcSession::Run(...)",
        "    _call_tf_sessionrun (tensorflow/python/client/session.py:1407)",
        "    wait_for_all (train.py:41)",
    ),
)
