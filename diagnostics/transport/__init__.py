"""Runs the collector where the processes are: here, in a process of its own, or through a command that runs others.

`ssh {host}`, `docker exec -i {host}`, `kubectl exec -i {host} --`, `srun --overlap --jobid=7 -w {host}`: the collector
travels over the command's standard input as one text and leaves nothing behind.
"""

from diagnostics.transport.here import Here as Here
from diagnostics.transport.here import add_stacks as add_stacks
from diagnostics.transport.here import collect as collect
from diagnostics.transport.here import observe as observe
from diagnostics.transport.here import ready as ready
from diagnostics.transport.hosts import Fleet as Fleet
from diagnostics.transport.hosts import OnHost as OnHost
from diagnostics.transport.hosts import There as There
from diagnostics.transport.options import COLLECTORS as COLLECTORS
from diagnostics.transport.options import Options as Options
from diagnostics.transport.options import Target as Target
from diagnostics.transport.reach import Reach as Reach
from diagnostics.transport.reach import ask as ask
from diagnostics.transport.reach import resample as resample
from diagnostics.transport.reach import with_told as with_told
