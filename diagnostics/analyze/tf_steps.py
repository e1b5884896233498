"""Who takes part in a step of graph-mode TensorFlow, read off stacks, with or without known roles. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from diagnostics.analyze.facts import Facts, evidence, names, stack_has, stack_mentions
from diagnostics.analyze.progress import MAY_BE_STUCK, is_frozen, is_server, is_stopped
from diagnostics.analyze.thread_waits import rests
from diagnostics.causes import Case
from diagnostics.model import Process, State
from diagnostics.stacks.prefix_tree import main_thread

REMOTE_STEP = ("LocalMaster::RunStep", "GrpcRemoteMaster::RunStep")
_IN_OPERATION = ("::Compute", "ExecutorState::Process", "IteratorGetNext", "DatasetIterator")
_SAYS_THAT_IT_MEETS = re.compile(
    r"barrier|rendezvous|wait_?(for|until|on)_?(all|every|others|peers|workers|chief)|(all|everyone)_?(done|arrived|here)"
)


class Roles:
    """The processes of a job by what they do: `clients` wait in a step, `servers` serve, `others` do neither."""

    def __init__(self, facts: Facts) -> None:
        processes = [p for p in facts.processes if "child/" not in p.rank]
        self.servers = tuple(p for p in processes if serves(p))
        workers = [p for p in processes if p not in self.servers]
        self.in_step = tuple(p for p in workers if any(in_remote_step(p)))
        self.clients = tuple(p for p in self.in_step if p.state in MAY_BE_STUCK)
        self.others = tuple(p for p in workers if p not in self.clients)


def serves(process: Process) -> bool:
    """By its role or, where that is not known, by a main thread that has joined its server."""
    main = main_thread(process)
    return is_server(process.rank) or (main is not None and bool(stack_mentions(main, ["GrpcServer::Join"])))


def in_remote_step(process: Process) -> tuple[int, ...]:
    """The threads that wait for a step of a session on a server."""
    return tuple(thread.tid for thread in process.threads if any(stack_has(thread, [name]) for name in REMOTE_STEP))


def inside_operation(process: Process) -> str:
    """The first frame that shows a thread of it inside an operation, "" for none."""
    return next((name for thread in process.threads if (name := stack_mentions(thread, _IN_OPERATION))), "")


def says_that_it_meets(process: Process) -> str:
    """A Python function of its main thread whose name says that it waits for other ranks, "" for none."""
    main = main_thread(process)
    python = [frame.function for frame in main.frames if not frame.native] if main else []
    return next((name for name in reversed(python) if _SAYS_THAT_IT_MEETS.search(name.lower())), "")


def look_at_others(case: Case, others: Sequence[Process], weight: float) -> bool:
    """Whether a worker has left the loop, which supports by `weight`; one that may still come speaks against."""
    finished = [p for p in others if p.state is State.FINISHED]
    dead = [p for p in others if p.state in (State.DEAD, State.UNREACHABLE)]
    moving = [p for p in others if p.state in (State.PROGRESSING, State.SLOW)]
    resting = [p for p in others if p not in (*finished, *dead, *moving) and rests(p)]
    working = [p for p in others if p not in (*finished, *dead, *moving, *resting)]
    if finished:
        case.supports(weight, evidence("has finished, and takes no more steps", "recorder", names(finished)))
    if resting:
        said = "takes no step, and stands still with nothing of its own to wait for"
        case.supports(0.0 if finished else 0.7 * weight, evidence(said, "stacks", names(resting)))
    if dead:
        case.speaks_against(2.5, evidence("is gone", "processes", names(dead)))
    if moving:
        case.speaks_against(4.0, evidence("still moves, and may come", "two looks", names(moving)))
    if working:
        case.speaks_against(2.0, evidence("is elsewhere, and may still come", "stacks", names(working)))
    return bool(finished or resting)


def look_at_sound_rest(case: Case, facts: Facts, roles: Roles) -> None:
    """What rules out trouble between the ranks: servers alive and idle, connections without data on its way."""
    looked_at = (*roles.clients, *roles.servers)
    if working := next(((p, name) for p in looked_at if (name := inside_operation(p))), None):
        case.speaks_against(
            3.0, evidence(f"a thread is inside an operation: {working[1]}", "stacks", [working[0].rank])
        )
    unsound = [p for p in looked_at if is_stopped(p) or is_frozen(p)] + [s for s in roles.servers if s in facts.gone]
    if unsound:
        case.speaks_against(5.0, evidence("is stopped, frozen or gone", "processes", names(unsound)))
    elif not roles.servers:
        case.lacks("the servers: attach there as well, to see that they are alive and idle")
    elif all(p.state in (State.IDLE, State.UNKNOWN) for p in roles.servers) and not working:
        said = "is alive, and no thread of it works on the step"
        case.supports(0.6, evidence(said, "two looks", names(roles.servers)))
    stuck = [(p, link) for p in looked_at for link in p.connections if link.unsent or link.unacked]
    if stuck:
        said = f"data is on its way to {stuck[0][1].peer or stuck[0][1].remote} and not acknowledged"
        case.speaks_against(2.5, evidence(said, "TCP_INFO", [stuck[0][0].rank]))
