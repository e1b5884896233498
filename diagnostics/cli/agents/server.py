"""The tools over the Model Context Protocol, with its official SDK. Imported by `lastbatch mcp` alone."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import anyio
import anyio.to_thread
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

from diagnostics.cli.agents import instructions, tools
from diagnostics.errors import LastbatchError
from diagnostics.version import release

Document = dict[str, Any]

LONGEST = {"list_jobs": 60.0, "attach": 240.0, "diagnose": 180.0, "explain_cause": 30.0}
"""Seconds until a call is given up; sampling on is not counted."""

Targets = Annotated[
    list[str | int],
    Field(
        description="Process ids (4711), job:ID or job:ID/RANK from list_jobs, port:2222, cmd:train.py (in the command "
        "line), slurm:ID, k8s:pod/NAME, k8s:job/NAME, k8s:pytorchjob/NAME, k8s:LABEL=VALUE, yarn:application_ID."
    ),
]
Resample = Annotated[
    float, Field(ge=0, le=300, description="Seconds to sample on where nothing moves and two samples do not decide.")
]
Threads = Annotated[bool, Field(description="Whether the stack of every thread is in the answer, which is then long.")]
Files = Annotated[
    list[str],
    Field(
        description="Paths on this machine: a bundle (.tar.zst), stacks by py-spy, pystack, gdb and others, logs, "
        "Flight Recorder dumps, or folders of these. All of one job; worker-0.txt, rank3.log are of that rank."
    ),
]
Name = Annotated[str, Field(description="A cause or family as an answer names it, e.g. lock-order. Empty: list all.")]


def server(keep: Path) -> Any:
    """With all tools. `keep`: the folder of the bundles that attaching writes."""
    one_at_a_time = anyio.CapacityLimiter(1)  # a thread has one tracer

    async def list_jobs() -> Document:
        """List the training jobs seen on this machine, with the rank and process id of each member.

        Touches no process. Use it to find a target for attach. A job that runs elsewhere is not seen.
        """
        return await _in_time("list_jobs", tools.list_jobs)

    async def attach(targets: Targets, resample: Resample = 25.0, threads: Threads = False) -> Document:
        """Look at a job that is stuck now: hung or not, which rank holds the others up, where, what it waits for.

        Nothing is put into the job and nothing in it is ended; a thread that runs is stopped for some milliseconds
        while its stack is copied. The evidence is kept in a bundle, whose path is in the answer. Takes some seconds,
        or up to `resample` seconds more where nothing moves. Needs the right to trace the processes.
        """
        work = partial(tools.attach, targets, keep, resample, threads)
        return await _in_time("attach", work, one_at_a_time, resample)

    async def diagnose(files: Files, threads: Threads = False) -> Document:
        """Say what a bundle, or other tools' stack dumps and logs of a stuck job mean. Offline: no process is touched.

        Files that cannot be read are named in `errors`; the others are diagnosed all the same.
        """
        return await _in_time("diagnose", partial(tools.diagnose, files, threads))

    async def explain_cause(name: Name = "") -> Document:
        """Explain a known cause of hangs: how it comes about, what to do, what it must not be confused with.

        A family explains all causes in it. Says what is known of the cause in general, and nothing of a job.
        """
        return await _in_time("explain_cause", partial(tools.explain_cause, name))

    made = MCPServer("lastbatch", version=release(), instructions=instructions(), log_level="WARNING")
    for tool in (list_jobs, attach, diagnose, explain_cause):
        # Attaching stops threads for a moment and keeps a bundle: whoever asks the user before a tool changes
        # something is to ask before that.
        hints = ToolAnnotations(read_only_hint=tool is not attach, destructive_hint=False)
        made.add_tool(tool, description=inspect.getdoc(tool), annotations=hints)
    return made


async def _in_time(
    name: str, work: Callable[[], Document], limiter: anyio.CapacityLimiter | None = None, more: float = 0.0
) -> Document:
    """In a thread of its own, so that the server answers meanwhile.

    Work that is given up ends by itself, by the deadlines of its sources; nothing in a target stays stopped.
    """
    limit = LONGEST[name] + more
    try:
        with anyio.fail_after(limit):
            document: Document = await anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=limiter)
            return document
    except LastbatchError as error:
        raise ToolError(tools.error_text(error)) from None
    except OSError as error:
        late = isinstance(error, TimeoutError) and not error.errno  # the limit of above
        why = f"no answer within {limit:.0f} s. Ask for fewer processes or files" if late else str(error)
        said = error.strerror or why
        raise ToolError(said + (f": {error.filename}" if error.filename else "")) from None
