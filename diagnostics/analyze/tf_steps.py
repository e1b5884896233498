"""Who takes part in a step of graph-mode TensorFlow, read off stacks, with or without known roles. Pure."""

from __future__ import annotations

import re

from diagnostics.analyze.facts import Facts, stack_has, stack_mentions
from diagnostics.analyze.progress import MAY_BE_STUCK, is_server
from diagnostics.model import Process
from diagnostics.model.rank import parse
from diagnostics.stacks.prefix_tree import main_thread

REMOTE_STEP = ("LocalMaster::RunStep", "GrpcRemoteMaster::RunStep")
_IN_OPERATION = ("::Compute", "ExecutorState::Process", "IteratorGetNext", "DatasetIterator")
_SAYS_THAT_IT_MEETS = re.compile(
    r"barrier|rendezvous|wait_?(for|until|on)_?(all|every|others|peers|workers|chief)|(all|everyone)_?(done|arrived|here)"
)


class Roles:
    """The processes of a job by what they do: `clients` wait in a step, `servers` serve, `others` do neither."""

    def __init__(self, facts: Facts) -> None:
        processes = [p for p in facts.processes if not parse(p.rank).helps]
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
