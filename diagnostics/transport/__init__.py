"""Runs the collector where the processes are, through any command that runs a command there.

`ssh {host}`, `docker exec -i {host}`, `kubectl exec -i {host} --`, `srun --overlap --jobid=7 -w {host}`: the collector
travels over the command's standard input as one text and leaves nothing behind.
"""

from diagnostics.transport.hosts import Fleet, attach_hosts

__all__ = ["Fleet", "attach_hosts"]
