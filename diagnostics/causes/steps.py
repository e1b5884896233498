"""What the rest of a job says of those that wait in a step of graph-mode TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence

from diagnostics.analyze.facts import Facts, names
from diagnostics.analyze.progress import is_frozen, is_stopped
from diagnostics.analyze.tf_steps import Roles, inside_operation
from diagnostics.analyze.thread_waits import rests
from diagnostics.causes.base import Case
from diagnostics.model import Process, State


def look_at_others(case: Case, others: Sequence[Process]) -> bool:
    """Whether a worker has left the loop, which supports it; one that may still come speaks against."""
    finished = [p for p in others if p.state is State.FINISHED]
    dead = [p for p in others if p.state in (State.DEAD, State.UNREACHABLE)]
    moving = [p for p in others if p.state in (State.PROGRESSING, State.SLOW)]
    resting = [p for p in others if p not in (*finished, *dead, *moving) and rests(p)]
    working = [p for p in others if p not in (*finished, *dead, *moving, *resting)]
    if finished:
        case.saw("worker-finished", "has finished, and takes no more steps", "recorder", names(finished))
    if resting:
        said = "takes no step, and stands still with nothing of its own to wait for"
        case.saw("worker-rests", said, "stacks", names(resting))
    if dead:
        case.saw("worker-gone", "is gone", "processes", names(dead))
    if moving:
        case.saw("worker-moves", "still moves, and may come", "two samples", names(moving))
    if working:
        case.saw("worker-elsewhere", "is elsewhere, and may still come", "stacks", names(working))
    return bool(finished or resting)


def look_at_sound_rest(case: Case, facts: Facts, roles: Roles) -> None:
    """What rules out trouble between the ranks: servers alive and idle, connections without data on its way."""
    looked_at = (*roles.clients, *roles.servers)
    if working := next(((p, name) for p in looked_at if (name := inside_operation(p))), None):
        case.saw("inside-operation", f"a thread is inside an operation: {working[1]}", "stacks", [working[0].rank])
    unsound = [p for p in looked_at if is_stopped(p) or is_frozen(p)] + [s for s in roles.servers if s in facts.gone]
    if unsound:
        case.saw("unsound", "is stopped, frozen or gone", "processes", names(unsound))
    elif not roles.servers:
        case.needs("the servers: attach there as well, to see that they are alive and idle")
    elif all(p.state in (State.IDLE, State.UNKNOWN) for p in roles.servers) and not working:
        said = "is alive, and no thread of it works on the step"
        case.saw("servers-sound", said, "two samples", names(roles.servers))
    stuck = [(p, link) for p in looked_at for link in p.connections if link.unsent or link.unacked]
    if stuck:
        said = f"data is on its way to {stuck[0][1].peer or stuck[0][1].remote} and not acknowledged"
        case.saw("data-on-its-way", said, "TCP_INFO", [stuck[0][0].rank])
