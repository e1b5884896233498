"""Who takes part in a step of graph-mode TensorFlow, and what the rest of the job says of those that wait in one."""

from __future__ import annotations

import re
from collections.abc import Sequence

from diagnostics.analyze.facts import Facts, names
from diagnostics.analyze.progress import MAY_BE_STUCK, is_frozen, is_server, is_stopped
from diagnostics.causes.base import Case
from diagnostics.causes.observe import At, main_at, rests, threads_at
from diagnostics.model import Process, Role, State
from diagnostics.model import rank as identity

_SAYS_THAT_IT_MEETS = re.compile(
    r"barrier|rendezvous|wait_?(for|until|on)_?(all|every|others|peers|workers|chief)|(all|everyone)_?(done|arrived|here)"
)
"""Names that people give to functions in which ranks wait for each other."""


class Roles:
    """The processes of a job by what they do: `clients` wait in a step, `servers` serve, `others` do neither."""

    def __init__(self, facts: Facts) -> None:
        processes = [p for p in facts.processes if not identity.parse(p.rank).is_child]
        self.servers = tuple(p for p in processes if serves(p))
        workers = [p for p in processes if p not in self.servers]
        self.clients = tuple(p for p in workers if p.state in MAY_BE_STUCK and remote_steps(p))
        self.others = tuple(p for p in workers if p not in self.clients)


def serves(process: Process) -> bool:
    """By its role or, where that is not known, by a main thread that has joined its server."""
    main = main_at(process)
    return is_server(process.rank) or (main is not None and main.position.has(Role.SERVE) and not remote_steps(process))


def remote_steps(process: Process) -> tuple[At, ...]:
    """The threads that wait for a step of a session on a server."""
    return tuple(at for at in threads_at(process) if at.position.has(Role.STEP) and at.position.operation == "RunStep")


def inside_operation(process: Process) -> str:
    """Where a thread of it stands inside an operation, "" for none."""
    inside = (at for at in threads_at(process) if at.position.has(Role.OPERATION) and not at.position.has(Role.STEP))
    return next((at.where for at in inside), "")


def says_that_it_meets(process: Process) -> str:
    """A Python function of its main thread whose name says that it waits for other ranks, "" for none."""
    main = main_at(process)
    python = [frame.function for frame in main.thread.frames if not frame.native] if main else []
    return next((name for name in reversed(python) if _SAYS_THAT_IT_MEETS.search(name.lower())), "")


def look_at_others(case: Case, others: Sequence[Process]) -> bool:
    """Whether a worker has left the loop, which supports it; one that may still come speaks against."""
    finished = [p for p in others if p.state is State.FINISHED]
    dead = [p for p in others if p.state in (State.DEAD, State.UNREACHABLE)]
    moving = [p for p in others if p.state in (State.PROGRESSING, State.SLOW)]
    resting = [p for p in others if p not in (*finished, *dead, *moving) and rests(p)]
    stuck = [p for p in others if p not in (*finished, *dead, *moving, *resting) and p.state is State.HUNG]
    working = [p for p in others if p not in (*finished, *dead, *moving, *resting, *stuck)]
    if finished:
        case.saw("worker-finished", "has finished, and takes no more steps", "recorder", names(finished))
    if resting:
        said = "takes no step, and stands still with nothing of its own to wait for"
        case.saw("worker-rests", said, "stacks", names(resting))
    if dead:
        case.saw("worker-gone", "is gone", "processes", names(dead))
    if moving:
        case.saw("worker-moves", "still moves, and may come", "samples", names(moving))
    if stuck:
        main = main_at(stuck[0])
        at = f": {main.where}" if main else ""
        case.saw("worker-stuck", f"takes no step, and stands still elsewhere{at}", "stacks", names(stuck))
    if working:
        main = main_at(working[0])
        at = f": {main.where}" if main else ""
        case.saw("worker-elsewhere", f"is elsewhere, and may still come{at}", "stacks", names(working))
    return bool(finished or resting)


def look_at_sound_rest(case: Case, facts: Facts, roles: Roles) -> None:
    """What rules out trouble between the ranks: servers alive and idle, connections without data on its way."""
    looked_at = (*roles.clients, *roles.servers)
    working = next(((p, name) for p in looked_at if (name := inside_operation(p))), None)
    if working:
        said = f"a thread is inside an operation: {working[1]}"
        case.saw("inside-operation", said, "stacks", [working[0].rank])
    unsound = [p for p in looked_at if is_stopped(p) or is_frozen(p)] + [s for s in roles.servers if s in facts.gone]
    if unsound:
        case.saw("unsound", "is stopped, frozen or gone", "processes", names(unsound))
    elif not roles.servers:
        case.needs("the servers: attach there as well, to see that they are alive and idle")
    elif all(p.state in (State.IDLE, State.UNKNOWN) for p in roles.servers) and not working:
        said = "is alive, and no thread of it works on the step"
        case.saw("servers-sound", said, "samples", names(roles.servers))
    stuck = [(p, one) for p in looked_at for one in p.connections if one.unsent or one.unacked]
    if stuck:
        said = f"data is on its way to {stuck[0][1].peer or stuck[0][1].remote} and not acknowledged"
        case.saw("data-on-its-way", said, "TCP_INFO", [stuck[0][0].rank])
