"""mpirun, srun, Slurm, Kubernetes, shells: which process ended, on which host, by what.

Wordings: Open MPI's `help-prte-runtime.txt`, `orte`, MPICH's `mpiexec.hydra`, Slurm's `srun` and `slurmstepd`, kubelet.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from diagnostics.importers.vocabulary.base import Block, Said, fact, row
from diagnostics.model import FactKind

ROWS = (
    row(
        FactKind.ENDED, "noticed that process rank",
        r"mpirun noticed that process rank (?P<rank>\d+) with PID (?P<pid>\d+) on node (?P<host>\S+) exited on signal "
        r"(?P<signal>\d+)(?: \((?P<what>[^)]*)\))?",
        "rank {rank} (pid {pid}) on {host} was ended by signal {signal}[ ({what})]",
    ),
    row(
        FactKind.ENDED, "process name: [[",
        r"Process name: \[\[\d+,\d+\],(?P<rank>\d+)\]", "rank {rank} ended with an error first",
    ),
    row(
        FactKind.ENDED, "mpi_abort was invoked on rank",
        r"MPI_ABORT was invoked on rank (?P<rank>\d+)(?:.*errorcode (?P<exit_code>-?\d+))?", "rank {rank} called MPI_Abort",
    ),
    row(
        FactKind.ENDED, "bad termination of one of your application processes",
        r"BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES", "a process of the MPI job ended badly",
    ),
    row(
        FactKind.ENDED, "rank ",
        r"=\s+RANK (?P<rank>\d+) PID (?P<pid>\d+) RUNNING AT (?P<host>\S+)", "rank {rank} (pid {pid}) on {host} ended badly",
    ),
    row(
        FactKind.ENDED, "exit code:",
        r"=\s+EXIT CODE: (?P<exit_code>\d+)", "its exit code was {exit_code}",
    ),
    row(
        FactKind.ENDED, "exited with exit code",
        r"(?:srun: error: (?P<host>[\w\[\],.-]+): )?tasks? (?P<ranks>[\d,-]+): Exited with exit code (?P<exit_code>\d+)",
        "rank {ranks}[ on {host}] ended with exit code {exit_code}",
    ),
    row(
        FactKind.ENDED, "srun: error:",
        r"srun: error: (?P<host>[\w\[\],.-]+): tasks? (?P<ranks>[\d,-]+): (?P<what>Out Of Memory|Killed|Terminated|Segmentation fault|"
        r"Aborted|Bus error|.{1,60})(?: \(core dumped\))?$",
        "rank {ranks} on {host}: {what}",
    ),
    row(
        FactKind.ENDED, "srun: launch/slurm",
        r"launch/slurm: _?step_?_?signal: (?P<what>.{1,100})", "Slurm: {what}",
    ),
    row(
        FactKind.ENDED, "slurmstepd: error:",
        r"slurmstepd: error: (?P<what>(?:\*\*\* )?(?:JOB|STEP) \S+ (?:ON (?P<host>\S+) )?CANCELLED AT \S+(?: DUE TO (?P<reason>[A-Z ]+))?)",
        "the job was cancelled[ on {host}][: {reason}]",
    ),
    row(
        FactKind.ENDED, "due to node failure",
        r"(?P<what>.{0,100}(?:DUE TO NODE FAILURE|node failure).{0,80})", "{what}",
    ),
    row(
        FactKind.ENDED, "last state",
        r"(?:Last State|State):\s*Terminated", "the container has ended",
    ),
    row(
        FactKind.ENDED, "exit code",
        r"^\s*Exit Code:\s*(?P<exit_code>\d+)", "the container ended with exit code {exit_code}",
    ),
    row(
        FactKind.ENDED, "evicted",
        r"(?P<what>.{0,60}(?:[Ee]victed|The node was low on resource|preempt\w*).{0,120})", "{what}",
    ),
    row(
        FactKind.ENDED, "segmentation fault",
        r"(?:Fatal Python error: )?Segmentation fault", "the process crashed (segmentation fault)",
    ),
    row(
        FactKind.ENDED, "fatal python error",
        r"Fatal Python error: (?P<what>.{1,120})", "the interpreter ended: {what}",
    ),
    row(
        FactKind.ENDED, "terminate called after throwing",
        r"terminate called after throwing an instance of '(?P<what>[^']+)'", "the process was ended by an exception of C++: {what}",
    ),
    row(
        FactKind.ENDED, "killed",
        r"^(?:\S+: line \d+: +(?P<pid>\d+) )?(?P<untold>Killed)\b(?: +(?P<command>\S.{0,80}))?$", "the process[ {pid}] was killed[: {command}]",
    ),
    row(
        FactKind.ENDED, "exit status",
        r"(?:[Cc]ommand|process|[Ww]orker) .{0,100}(?:returned non-zero exit status|died with|exited with) (?:exit status )?"
        r"<?(?P<exit_code>-?\d+|Signals\.\w+: \d+)",
        "a process ended with {exit_code}",
    ),
    row(
        FactKind.NOT_CONNECTED, "could not connect",
        r"(?P<what>.{0,60}(?:ssh: connect to host|could not connect to).{0,120})", "{what}",
    ),
    row(
        FactKind.CONNECTION_LOST, "lost connection",
        r"(?P<what>.{0,80}(?:[Ll]ost connection|ORTE has lost communication|PRTE has lost communication).{0,120})", "{what}",
    ),
    row(
        FactKind.NOT_CONNECTED, "connection refused",
        r"(?:(?P<host>[\w.-]+|\[[\w:]+\]):(?P<port>\d{2,5})\D{0,40})?[Cc]onnection refused", "a connection[ to {host}:{port}] was refused",
    ),
    row(
        FactKind.NOT_CONNECTED, "no route to host",
        r"(?:(?P<host>[\w.-]+):(?P<port>\d{2,5})\D{0,40})?No route to host", "there is no route to the other host[ {host}:{port}]",
    ),
    row(
        FactKind.NOT_CONNECTED, "connection timed out",
        r"(?:(?P<host>[\w.-]+):(?P<port>\d{2,5})\D{0,40})?[Cc]onnection timed out", "a connection[ to {host}:{port}] timed out",
    ),
)  # fmt: skip

_LOST = re.compile(r"An MPI communication peer process has unexpectedly disconnected|[OP]RTE has lost communication with a remote daemon")
_WHO = re.compile(r"\s*(?:Peer host: +|Remote daemon: ?\[\[\d+,\d+\],\d+\] on node )([\w.-]+)\s*$")
_LINES = 20
"""Of such a text; the hosts stand near its beginning or at its end."""


class PeerLost(Block):
    """Open MPI's text about a process or a daemon that has gone: its host has a line of its own."""

    def __init__(self) -> None:
        self._left = 0

    def feed(self, line: str) -> Iterable[Said]:
        if _LOST.search(line):
            self._left = _LINES
        elif self._left and (who := _WHO.match(line)):
            self._left = 0
            words = f"the MPI process or daemon on {who[1]} has gone, or the network to it failed"
            yield Said("", fact(FactKind.CONNECTION_LOST, words, line, host=who[1]))
        else:
            self._left = max(0, self._left - 1)


BLOCKS = (PeerLost,)
