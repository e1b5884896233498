"""DeepSpeed, Megatron, NeMo, Lightning, Accelerate, data loaders: what training frameworks say when a job stands.

Wordings: `deepspeed/launcher/launch.py`, `megatron/training`, `nvidia_resiliency_ext`, `lightning/fabric`,
`torch/utils/data/dataloader.py`, `torch/utils/file_baton.py`.
"""

from __future__ import annotations

from diagnostics.importers.vocabulary.base import row
from diagnostics.model import FactKind

ROWS = (
    row(
        FactKind.INPUT, "dataloader worker (pid",
        r"DataLoader worker \(pid\(?s?\)? ?(?P<pid>[\d, ]+)\) (?P<what>is killed by signal: (?P<signal>[\w ]+)|exited unexpectedly"
        r"(?: with exit code (?P<exit_code>\d+))?)",
        "the loader's worker {pid} {what}",
    ),
    row(
        FactKind.INPUT, "dataloader timed out after",
        r"DataLoader timed out after (?P<seconds>[\d.]+) seconds", "the loader gave no batch for {seconds} s",
    ),
    row(
        FactKind.INPUT, "pin memory thread exited unexpectedly",
        r"Pin memory thread exited unexpectedly", "the loader's pin-memory thread ended",
    ),
    row(
        FactKind.INPUT, "insufficient shared memory",
        r"insufficient shared memory \(shm\)|unable to (?:write to|open|mmap) (?:file|shared memory).*(?P<file>/torch_\w+|/dev/shm\S*)",
        "shared memory ran out for the loader's workers[ ({file})]",
    ),
    row(
        FactKind.INPUT, "could not unlink the shared memory file",
        r"could not unlink the shared memory file(?: (?P<file>\S+))?",
        "the shared-memory file of a batch[ {file}] was gone when a loader's worker came for it",
    ),
    row(
        FactKind.ENDED, "exits with return code",
        r"(?:Process (?P<pid>\d+)|sigkill_handler\].*\]) exits with return code = (?P<exit_code>-?\d+)(?!\d)",
        "a process[ ({pid})] ended with exit code {exit_code}",
    ),
    row(
        FactKind.ENDED, "killing subprocess",
        r"Killing subprocess (?P<pid>\d+)", "the launcher ends process {pid}",
    ),
    row(
        FactKind.STUCK, "did not get subsequent heartbeat",
        r"Did not get (?:initial|subsequent) heartbeat.*?(?:elapsed|within|timeout)\D*(?P<seconds>[\d.]+)?",
        "a rank sent no heartbeat[ for {seconds} s]",
    ),
    row(
        FactKind.STUCK, "fault_tolerance",
        r"(?P<what>(?:Ranks?|worker) (?P<ranks>[\d, ]+).{0,40}(?:hang|hung|unresponsive|no heartbeat).{0,80})", "{what}",
    ),
    row(
        FactKind.STUCK, "straggler",
        r"(?P<what>.{0,60}straggler.{0,120}rank[s ]*[:=]? ?\[?(?P<ranks>\d[\d, ]*).{0,60})", "{what}",
    ),
    row(
        FactKind.STORAGE, "waiting for lock",
        r"(?P<what>.{0,40}[Ww]aiting for (?:file )?lock\w*.{0,20}(?P<file>/\S+).{0,60})", "waits for the lock file {file}",
    ),
    row(
        FactKind.STORAGE, "blocking waiting for file lock",
        r"Blocking waiting for file lock on (?P<what>.{1,100})", "waits for the file lock on {what}",
    ),
    row(
        FactKind.OUT_OF_MEMORY, "out of memory",
        r"(?:OutOfMemoryError|CUDA out of memory|HIP out of memory|RESOURCE_EXHAUSTED: Out of memory)(?P<what>.{0,160})",
        "the device's memory ran out{what}",
    ),
    row(
        FactKind.ABSENT, "barrier",
        r"(?P<what>[Rr]anks? (?P<ranks>\d[\d, ]*) (?:did not|has not|have not|never) (?:reach|enter|arrive|join)\w*.{0,20}barrier.{0,60})",
        "{what}",
    ),
)  # fmt: skip
