"""vLLM, SGLang, TensorRT-LLM: engines that wait for their workers, watchdogs of schedulers.

Wordings: `vllm/distributed/device_communicators/shm_broadcast.py`, `vllm/v1/executor/multiproc_executor.py`,
`vllm/v1/engine/*` of 0.4 to 0.21; `sglang/srt/managers/scheduler*.py`, `sglang/srt/utils` of 0.2 to 0.6.
"""

from __future__ import annotations

from diagnostics.importers.vocabulary.base import row
from diagnostics.model import FactKind

ROWS = (
    row(
        FactKind.STUCK, "no available shared memory broadcast block found",
        r"No available (?:shared memory broadcast )?block found in (?P<seconds>\d+) ?seconds?",
        "waits for room in the shared-memory broadcast to its workers, for {seconds} s each time: a worker does not take "
        "from it",
    ),
    row(
        FactKind.STUCK, "no available block found",
        r"No available block found in (?P<seconds>\d+) ?seconds?",
        "waits for room in the shared-memory broadcast to its workers, for {seconds} s each time: a worker does not take "
        "from it",
    ),
    row(
        FactKind.STUCK, "no available shared memory broadcast block",
        r"No available shared memory broadcast block(?! found)", "waits for room in the shared-memory broadcast to its workers",
    ),
    row(
        FactKind.STUCK, "watchdog timeout",
        r"(?P<what>(?:Scheduler |Detokenizer ?\w* )?[Ww]atchdog timeout) ?\((?:self\.)?watchdog_timeout=(?P<seconds>[\d.]+)"
        r"(?:, (?P<more>[^)]*))?\)",
        "its own watchdog saw no progress for {seconds} s",
    ),
    row(
        FactKind.STUCK, "pyspy dump for pid",
        r"Pyspy dump for PID (?P<pid>\d+)", "its watchdog dumped the stacks of process {pid}",
    ),
    row(
        FactKind.STUCK, "rpc call to",
        r"RPC call to (?P<operation>[\w.]+) timed out", "the workers did not answer the call {operation} in time",
    ),
    row(
        FactKind.STUCK, "timed out waiting for engine",
        r"(?P<what>(?:Timed out|Timeout) waiting for engine.{0,160})", "{what}",
    ),
    row(
        FactKind.NOT_JOINED, "waiting for",
        r"Waiting for (?P<waiting>\d+) (?P<local>local, )?(?:\d+ remote )?(?:core engine|engine|worker) ?proc\(?(?:ess)?(?:es)?s?\)? to (?P<what>start|connect|be ready)",
        "waits for {waiting} engine processes to {what}",
    ),
    row(
        FactKind.NOT_JOINED, "waiting for shard",  # TGI
        r"Waiting for shard(?: \d+)? to be ready\.*(?: rank=(?P<ranks>\d+))?", "[the shard of rank {ranks} ]is not ready",
    ),
    row(
        FactKind.ENDED, "shard process was signaled",
        r"Shard process was signaled to shutdown with signal (?P<signal>\d+)(?: rank=(?P<ranks>\d+))?",
        "the shard[ of rank {ranks}] was ended by signal {signal}",
    ),
    row(
        FactKind.ENDED, "died unexpectedly",
        r"(?P<process>\w*(?:Worker|Engine)\w* ?proc(?:ess)? (?:rank=\[?(?P<ranks>\d[\d, ]*)\]?|[\w.:-]+)|EngineCore\S*"
        r"|Engine core proc \S+) died unexpectedly",
        "{process} died unexpectedly",
    ),
    row(
        FactKind.ENDED, "engine core initialization failed",
        r"Engine core initialization failed.*?(?:Failed core proc\(s\): (?P<what>\{.*?\}))?$",
        "the engine could not start[; failed processes: {what}]",
    ),
    row(
        FactKind.ENDED, "enginedeaderror",
        r"EngineDeadError|EngineCore encountered (?P<what>a fatal error|an issue)", "the engine has died",
    ),
    row(
        FactKind.TIMED_OUT, "custom_all_reduce",
        r"(?:custom_?all_?reduce)\S* .*(?P<what>timed out|hang\w*|deadlock\w*)", "the custom all-reduce {what}",
    ),
    row(
        FactKind.STUCK, "health check failed",
        r"Health check failed\.?(?P<what>.{0,160})", "the server's health check failed{what}",
    ),
)  # fmt: skip
