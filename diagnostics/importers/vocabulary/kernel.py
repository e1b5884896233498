"""The kernel's log, the GPU driver's, and the monitors of machines: OOM, hung tasks, Xid, storage, network cards.

Wordings: `mm/oom_kill.c`, `kernel/hung_task.c`, `net/sunrpc/clnt.c`, `fs/nfs`, NVIDIA's "Xid Errors" (r515 to r580),
amdgpu, CUDA's error strings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from diagnostics.importers.vocabulary.base import Block, Said, fact, row
from diagnostics.model import FactKind

ROWS = (
    row(
        FactKind.OUT_OF_MEMORY, "out of memory: kill",
        r"(?:Memory cgroup out|Out) of memory: Kill(?:ed)? process (?P<pid>\d+) \((?P<process>[^)]*)\)"
        r"(?:.*?anon-rss:(?P<rss>\d+kB))?",
        "the kernel ended process {pid} ({process})[, which had {rss}], since memory ran out",
    ),
    row(
        FactKind.OUT_OF_MEMORY, "oom-kill:",
        r"oom-kill:constraint=(?P<constraint>\w+).*?task=(?P<process>[^,]+),pid=(?P<pid>\d+)",
        "the kernel ended process {pid} ({process}), since memory ran out ({constraint})",
    ),
    row(
        FactKind.OUT_OF_MEMORY, "invoked oom-killer",
        r"(?P<process>\S+) invoked oom-killer", "memory ran out when {process} asked for more",
    ),
    row(
        FactKind.OUT_OF_MEMORY, "oomkilled",
        r"OOMKilled(?:.*?[Ee]xit ?[Cc]ode:? ?(?P<exit_code>\d+))?", "the container was ended, since it passed its memory limit",
    ),
    row(
        FactKind.OUT_OF_MEMORY, "oom-kill event",
        r"(?:Detected|Some of your .*) (?P<count>\d+)? ?oom[-_]kill event\(?s?\)?(?: in (?P<step>\S+))?",
        "Slurm saw the kernel end processes for lack of memory[ in {step}]",
    ),
    row(
        FactKind.OUT_OF_MEMORY, "oom killed",
        r"(?P<what>.{0,80}\boom[- ]killed\b.{0,80})", "{what}",
    ),
    row(
        FactKind.STUCK, "blocked for more than",
        r"INFO: task (?P<process>[^\s:]+):(?P<pid>\d+) blocked for more than (?P<seconds>\d+) seconds",
        "the kernel saw process {pid} ({process}) blocked for more than {seconds} s",
    ),
    row(
        FactKind.STUCK, "state:d",
        r"task:(?P<process>\S+)\s+state:D\s.*?\bpid:(?P<pid>\d+)",
        "process {pid} ({process}) waits in the kernel (state D), and no signal reaches it",
    ),
    row(
        FactKind.STUCK, " d ",
        r"(?:^|\s)(?P<process>\S{1,40})\s+D\s+(?:[0-9a-f]{16}\s+)\d+\s+(?P<pid>\d+)\s+\d+ 0x[0-9a-f]+$",
        "process {pid} ({process}) waits in the kernel (state D), and no signal reaches it",
    ),
    row(
        FactKind.STUCK, "(disk sleep)",
        r"State:\s*D \(disk sleep\)", "the process is in state D: it waits in the kernel, and no signal reaches it",
    ),
    row(
        FactKind.STUCK, "soft lockup",
        r"soft lockup - CPU#(?P<cpu>\d+) stuck for (?P<seconds>\d+)s! \[(?P<process>[^\]:]+):(?P<pid>\d+)\]",
        "the kernel saw CPU {cpu} stuck for {seconds} s in process {pid} ({process})",
    ),
    row(
        FactKind.DEVICE, "xid",
        r"NVRM: Xid \(PCI:(?P<device>[\w:.]+)\): (?P<xid>\d+)(?:, pid='?(?P<pid>\d+|<unknown>)'?)?(?:, name=(?P<process>[^,]*))?"
        r"(?:, (?P<what>.{0,160}))?",
        "the driver reported Xid {xid} on the GPU {device}[, process {pid}][ {process}][: {what}]",
    ),
    row(
        FactKind.DEVICE, "nvrm: gpu",
        r"NVRM: (?P<device>GPU\d+) \w+: ?(?P<what>[\s*]*(?:GSP Timeout|Heartbeat timed out|- timeout error|.{0,40}Error detected).{0,100})",
        "the driver reported on {device}: {what}",
    ),
    row(
        FactKind.DEVICE, "fallen off the bus",
        r"GPU (?:at (?:PCI:)?)?(?P<device>[0-9a-f:.]*\d[0-9a-f:.]*\d)?.*fallen off the bus", "a GPU[, {device},] has fallen off the bus",
    ),
    row(
        FactKind.DEVICE, "rminitadapter failed",
        r"GPU (?P<device>[0-9a-f:.]+\d): RmInitAdapter failed", "the driver could not start the GPU {device}",
    ),
    row(
        FactKind.DEVICE, "ring gfx",
        r"amdgpu.*ring (?P<ring>\S+) timeout", "the AMD driver saw the ring {ring} hang",
    ),
    row(
        FactKind.DEVICE, "gpu reset begin",
        r"amdgpu (?P<device>[0-9a-f:.]+): .*GPU reset begin", "the AMD driver resets the GPU {device}",
    ),
    row(
        FactKind.DEVICE, "failed to respond to msg",
        r"amdgpu (?P<device>[0-9a-f:.]+): .*?(?P<what>MES failed to respond to msg=\w+)",
        "the scheduler of the GPU {device} does not answer its driver: {what}",
    ),
    row(
        FactKind.DEVICE, "failed to evict",
        r"amdgpu: (?P<what>Failed to evict (?:process )?queues?|Failed to quiesce KFD)", "the AMD driver reported: {what}",
    ),
    row(
        FactKind.DEVICE, "fence wait loop timeout",
        r"amdgpu: (?P<what>qcm fence wait loop timeout expired)", "the AMD driver waited in vain: {what}",
    ),
    row(
        FactKind.DEVICE, "by gpu node-",
        r"(?P<what>HW Exception|Memory access fault) by GPU node-(?P<device>\d+)\b(?:.*?reason ?: ?(?P<reason>[\w ]{1,60}))?",
        "the AMD driver reported of GPU node {device}: {what}[, {reason}]",
    ),
    row(
        FactKind.DEVICE, "gpu is lost",
        r"GPU is lost(?P<what>.{0,100})", "the driver lost the GPU{what}",
    ),
    row(
        FactKind.DEVICE, "cuda error:",
        r"CUDA error:? (?P<what>(?!out of memory).{1,120})", "CUDA failed: {what}",
    ),
    row(
        FactKind.DEVICE, "uncorrectable",
        r"(?P<what>.{0,80}[Uu]ncorrectable (?:ECC|NVLink|memory|error).{0,80})", "{what}",
    ),
    row(
        FactKind.DEVICE, "device-side assert",
        r"device-side assert triggered", "an assertion failed on the device",
    ),
    row(
        FactKind.DEVICE, "nvlink",
        r"(?P<what>(?:NVLink|nvlink|NVSwitch).{0,60}(?:fatal|error|down|fail\w*|timeout).{0,80})", "{what}",
    ),
    row(
        FactKind.DEVICE, "port state",
        r"(?P<what>mlx5\S* .{0,60}(?:Port|link).{0,40}(?:down|DOWN|error).{0,60})", "{what}",
    ),
    row(
        FactKind.STORAGE, "not responding",
        r"nfs: server (?P<host>\S+) not responding(?:, (?P<what>still trying|timed out))?",
        "the NFS server {host} does not respond[: {what}]",
    ),
    row(
        FactKind.STORAGE, "stale file handle",
        r"Stale (?:NFS )?file handle(?::? '?(?P<file>/[^']*))?", "a file of a network mount is stale[: {file}]",
    ),
    row(
        FactKind.STORAGE, "no space left on device",
        r"No space left on device(?::? '?(?P<file>/[^']*))?", "the disk is full[: {file}]",
    ),
    row(
        FactKind.STORAGE, "transport endpoint is not connected",
        r"Transport endpoint is not connected(?::? '?(?P<file>/[^']*))?", "a FUSE mount has lost its process[: {file}]",
    ),
    row(
        FactKind.STORAGE, "lustreerror",
        r"LustreError: (?P<what>.{1,160})", "Lustre failed: {what}",
    ),
    row(
        FactKind.STORAGE, "i/o error",
        r"(?P<what>.{0,60}(?:blk_update_request: |Buffer )?I/O error.{0,100})", "{what}",
    ),
)  # fmt: skip

_ADDRESS = re.compile(r"NVRM: The NVIDIA GPU (?:at (?:PCI:)?)?([0-9a-f:.]+\d)(?!.*fallen)", re.I)
_FALLEN = re.compile(r"fallen\s+off\s+the\s+bus", re.I)
_LINES = 4
"""Of the driver's message, which it breaks itself: the GPU stands in its first line, and what befell it in its last."""


class Fallen(Block):
    """A GPU that the driver's start did not find, which has no Xid."""

    def __init__(self) -> None:
        self._device = ""
        self._left = 0

    def feed(self, line: str) -> Iterable[Said]:
        if address := _ADDRESS.search(line):
            self._device, self._left = address[1], _LINES
        elif self._left and _FALLEN.search(line):
            self._left = 0
            words = f"a GPU, {self._device}, has fallen off the bus"
            yield Said("", fact(FactKind.DEVICE, words, line, device=self._device))
        else:
            self._left = max(0, self._left - 1)


BLOCKS = (Fallen,)
