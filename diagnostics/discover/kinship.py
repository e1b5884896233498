"""Who started whom, and which of those only start others. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from diagnostics.discover.scan import Seen

_WRAPPERS = frozenset({
    "sh", "bash", "dash", "ash", "zsh", "ksh", "fish", "env", "nohup", "setsid", "stdbuf", "timeout", "time", "sudo",
    "su", "runuser", "doas", "script", "tini", "docker-init", "dumb-init", "catatonit", "catchsegv", "strace", "ltrace",
    "perf", "nsys", "ncu", "flock", "unshare", "bwrap", "firejail", "systemd-run", "sshd", "tmux", "screen", "xvfb-run",
    "parallel", "xargs", "make", "watchexec", "entr", "s6-svscan", "s6-supervise", "runsv", "srun", "slurmstepd",
    "mpirun", "mpiexec", "orterun", "prterun", "hydra_pmi_proxy",
})  # fmt: skip
_LAUNCHERS = re.compile(
    r"(?:^|/)(?:torchrun|deepspeed|accelerate|ray|horovodrun)$"
    r"|^torch\.distributed\.(?:run|launch|elastic\.\S+)$|^deepspeed\.launcher\.\w+$|^accelerate\.commands\.launch$"
)
_TRACKER = re.compile(r"multiprocessing\.(?:resource_tracker|semaphore_tracker|forkserver) import (?:main|_main)")
_FIRST_WORDS = 5


def is_wrapper(command: Sequence[str]) -> bool:
    """Whether it is a shell or another program that runs one, and ends with it."""
    return bool(command) and command[0].rpartition("/")[2].lstrip("-") in _WRAPPERS


def starts_others(command: Sequence[str]) -> bool:
    """Whether by its command it does nothing itself but start others."""
    return is_wrapper(command) or any(_LAUNCHERS.search(word) for word in command[:_FIRST_WORDS])


def is_launcher(process: Seen) -> bool:
    return starts_others(process.command)


def is_tracker(process: Seen) -> bool:
    """Whether it is one of multiprocessing's own helpers."""
    return any(_TRACKER.search(word) for word in process.command)


def ancestors(process: Seen, by_pid: Mapping[int, Seen]) -> Iterator[Seen]:
    walked: set[int] = set()
    parent = by_pid.get(process.parent)
    while parent and parent.pid not in walked:
        walked.add(parent.pid)
        yield parent
        parent = by_pid.get(parent.parent)


def is_helper(process: Seen, by_pid: Mapping[int, Seen]) -> bool:
    """A data loader's worker: it has its parent's recorder and sockets by the fork, and no connection of its own.

    A rank that a program starts for itself has.
    """
    parent = by_pid.get(process.parent)
    if parent is None or not parent.framework:
        return False
    inherited = {*parent.links, *parent.listens}
    return process.recorder_rank in ("", parent.recorder_rank) and {*process.links, *process.listens} <= inherited
