"""MindSpore's `msrun` and Paddle's launcher: which process ended, which nodes timed out.

Wordings: `mindspore/parallel/cluster/process_entity/_api.py` of 2.3 to 2.7, `paddle/distributed/launch` of 2.3 to 3.0.
"""

from __future__ import annotations

from diagnostics.importers.vocabulary.base import row
from diagnostics.model import FactKind

ROWS = (
    row(
        FactKind.ENDED, "exit with exception",
        r"(?P<process>Worker|Scheduler) process (?P<pid>\d+) exit with exception",
        "the {process} process {pid} ended with an exception",
    ),
    row(
        FactKind.HEARTBEAT_LOST, "time out nodes are",
        r"Time out nodes are \[(?P<nodes>['\d, ]+)\]", "no heartbeat comes from the nodes {nodes}",
    ),
    row(
        FactKind.ENDED, "container rank",
        r"Container rank (?P<ranks>\d+) status failed cmd .*?\] code (?P<exit_code>-?\d+) log (?P<file>\S+)",
        "the process of rank {ranks} ended with exit code {exit_code} (its log is {file})",
    ),
)  # fmt: skip
