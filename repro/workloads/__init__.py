"""What the simulated jobs train, and how much memory and network that takes: pure formulas, no framework.

`plan(find("ctr"), settings)` is the whole answer; `memory_needed(settings, runtime)` the one number a rank
that limits need. The models themselves are in `repro.nodes.models`.
"""

from repro.workloads.inverse import fewest_servers, largest_batch
from repro.workloads.known import WORKLOADS, check, complete, find, names, settings_of
from repro.workloads.memory import idle_bytes, memory_needed, room, warnings
from repro.workloads.plan import Edge, Need, Plan, plan
from repro.workloads.terms import Term
from repro.workloads.workload import JOB, NUMBERS, Variable, Workload

__all__ = [
    "JOB",
    "NUMBERS",
    "WORKLOADS",
    "Edge",
    "Need",
    "Plan",
    "Term",
    "Variable",
    "Workload",
    "check",
    "complete",
    "fewest_servers",
    "find",
    "idle_bytes",
    "largest_batch",
    "memory_needed",
    "names",
    "plan",
    "room",
    "settings_of",
    "warnings",
]
