"""`slurm:77`: the nodes of a job from the controller (man 1 squeue, sinfo, scontrol), reached by a step beside its own.

`srun --overlap` shares what the job has (Slurm 20.11 and newer). From within an allocation its variables would be taken
for options of the new step, so they are left out.
"""

from __future__ import annotations

import os
import re
import socket

from diagnostics.discover.places.asking import ask
from diagnostics.errors import MissingError, UsageError
from diagnostics.transport import Fleet

_JOB = re.compile(r"\d+(?:[_+]\d+)?")
_KEPT = ("SLURM_CONF", "SLURM_CLUSTERS")


def find(job: str, deadline: float) -> tuple[Fleet | None, str]:
    """The job's nodes, and how its processes there call it. No fleet where it runs on this machine alone.

    Raises:
        UsageError: no such job, or none that runs.
        MissingError: the controller cannot be asked.
    """
    if not _JOB.fullmatch(job):
        raise UsageError(f"{job!r} is not a job of Slurm", "Give its number: slurm:77, or slurm:77_3 of an array")
    try:
        said = ask("squeue", "--noheader", f"--jobs={job}", "--format=%A|%T|%N", environment=_environment())
    except MissingError as error:
        if "Invalid job id" in error.message:
            raise UsageError(f"Slurm has no job {job}", "See squeue") from None
        raise
    if not said.strip():
        raise UsageError(f"Slurm has no job {job} any more", "See sacct for how it ended")
    number, state, listed = said.splitlines()[0].strip().split("|")
    if not listed:
        raise UsageError(f"job {job} has no nodes: it is {state.lower()}", "See squeue for when it starts")
    hosts = tuple(ask("scontrol", "show", "hostnames", listed, environment=_environment()).split())
    if hosts == (socket.gethostname().partition(".")[0],):
        return None, f"slurm:{number}"
    via = (
        f"env {' '.join(f'-u {name}' for name in os.environ if name.startswith('SLURM_') and name not in _KEPT)} "
        f"srun --overlap --jobid={number} --nodes=1 --ntasks=1 --mem=0 --gres=none --nodelist={{host}}"
    )
    states = ask("sinfo", "--noheader", "--Node", f"--nodes={listed}", "--format=%N|%T", environment=_environment())
    return Fleet(hosts, via, deadline, down_in(states)), f"slurm:{number}"


def down_in(states: str) -> tuple[tuple[str, str], ...]:
    """(host, why) of the nodes that do not answer their controller, so that nobody waits for them; from sinfo's words.

    A state ends with `*` where the node does not answer (man 1 sinfo, NODE STATE CODES).
    """
    found = dict(line.strip().split("|") for line in states.splitlines() if "|" in line)
    return tuple(
        (host, f"Slurm says of the node: {state.rstrip('*')}" + ", not answering" * state.endswith("*"))
        for host, state in found.items()
        if state.endswith("*") or state.startswith("down")
    )


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("SLURM_") or name in _KEPT}
