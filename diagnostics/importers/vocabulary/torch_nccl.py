"""PyTorch's NCCL process group: its watchdog, its heartbeat monitor, its errors.

Wordings: `ProcessGroupNCCL.cpp` and `NCCLUtils.cpp` of PyTorch 1.8 to 2.11, and the forks of other vendors (HCCL, XCCL,
MCCL, ...) that kept its words.
"""

from __future__ import annotations

from diagnostics.importers.vocabulary.base import row
from diagnostics.model import FactKind

_PREFIX = r"(?:\[PG (?:ID )?(?P<pg>\d+)(?: PG GUID (?P<guid>\d+)?)? ?(?:\((?P<group>[^)]*)\))?\s*Rank (?P<member>\d+)\])"

ROWS = (
    row(
        FactKind.TIMED_OUT, "watchdog caught collective operation timeout",
        r"\[(?:PG (?:ID )?(?P<pg>\d+)[^\]]*?)?Rank (?P<member>\d+)\] ?\S{0,3}\s*Watchdog caught collective operation timeout:"
        r" ?Work\w*\((?:SeqNum=(?P<number>\d+), ?)?OpType=(?P<operation>\w+)(?:, ?NumelIn=(?P<elements_in>\d+))?"
        r"(?:, ?NumelOut=(?P<elements_out>\d+))?(?:, ?TensorShape=\[(?P<shape>[\d, ]*)\])?, ?Timeout\(ms\)=(?P<limit_ms>\d+)\)"
        r" ran for (?P<ran_ms>\d+)",
        "rank {member} waited {ran_ms} ms in collective[ {number}] ({operation}[ of {elements_in} elements in]"
        "[, {elements_out} out]), until its watchdog gave it up",
    ),
    row(
        FactKind.STATUS, "last enqueued",
        _PREFIX + r"\s*.*?(?:(?:detected by watchdog at work(?: sequence id)?|Timeout at \w+ work): (?P<number>\d+),? ?)?"
        r"(?:PG status: )?last enqueued (?:\w+ )?work: (?P<enqueued>-?\d+), (?:last started (?:\w+ )?work: (?P<started>-?\d+), )?"
        r"last completed (?:\w+ )?work: (?P<completed>-?\d+)(?!\d)",
        "rank {member}:[ failed at collective {number};] last enqueued {enqueued}, last completed {completed}"
        "[ of group {group}]",
    ),
    row(
        FactKind.STATUS, "timeout at",
        _PREFIX + r"\s*Timeout at \w+ work: (?P<number>\d+),(?!.*last completed)",
        "rank {member}: failed at collective {number}[ of group {group}]",
    ),
    row(
        FactKind.TIMED_OUT, "some nccl operations have failed or timed out",
        r"Some NCCL operations have failed or timed out", "some of its NCCL operations failed or timed out",
    ),
    row(
        FactKind.STUCK, "watchdog got stuck for",
        r"(?:" + _PREFIX + r".*?)?watchdog got stuck for (?P<seconds>\d+) seconds without making progress",
        "[rank {member}: ]the watchdog thread itself got stuck for {seconds} s: a call into NCCL or the driver blocks it, "
        "or another thread holds the interpreter lock inside one",
    ),
    row(
        FactKind.STUCK, "heartbeat monitor timed out",
        r"(?:" + _PREFIX + r".*?)?Heartbeat monitor timed out!.*?(?:workMetaList_\.size\(\)=(?P<pending>\d+))?$",
        "[rank {member}: ]the heartbeat monitor saw no progress of the watchdog thread[; {pending} collectives pending]",
    ),
    row(
        FactKind.STUCK, "future for processgroup abort timed out",
        r"(?:" + _PREFIX + r".*?)?Future for ProcessGroup abort timed out after (?P<limit_ms>\d+) ms",
        "[rank {member}: ]the abort of its process group did not end within {limit_ms} ms",
    ),
    row(
        FactKind.STUCK, "could not acquire gil within",
        r"Could not acquire GIL within (?P<limit_ms>\d+) ms(?: on exit)?",
        "another thread held the interpreter lock for more than {limit_ms} ms when the process was to exit",
    ),
    row(
        FactKind.TIMED_OUT, "dump signal",
        r"(?:" + _PREFIX + r".*?)?(?:Received a|Observed flight recorder) dump signal (?:due to a collective timeout )?from "
        r"(?P<by>rank (?P<ranks>\d+)|this local rank|another rank)",
        "[rank {member}: ]a collective timed out on {by}",
    ),
    row(
        FactKind.TIMED_OUT, "nccl communicator was aborted on rank",
        r"NCCL communicator was aborted on rank (?P<member>\d+)",
        "the communicator of rank {member} was aborted",
    ),
    row(
        FactKind.CONNECTION_LOST, "ncclremoteerror",
        r"ncclRemoteError: (?P<what>.{0,160})",
        "NCCL lost another process: {what}",
    ),
    row(
        FactKind.CONNECTION_LOST, "connection closed by remote peer",
        r"(?:socketStartConnect|socketProgress\w*|NET/Socket)?.*Connection closed by remote peer (?P<peer>[\w.:<>\[\]-]+)",
        "the connection to {peer} was closed by the other end",
    ),
    row(
        FactKind.CONNECTION_LOST, "remote process exited or there was a network error",
        r"remote process exited or there was a network error", "a remote process exited, or the network failed",
    ),
    row(
        FactKind.DEVICE, "ncclunhandledcudaerror",
        r"ncclUnhandledCudaError: (?P<what>.{0,160})", "NCCL met an error of CUDA: {what}",
    ),
    row(
        FactKind.TIMED_OUT, "timed out in call to wait",
        r"(?:\[Rank (?P<member>\d+)\] )?.*(?:OpType=(?P<operation>\w+).*)?timed out in call to wait",
        "[rank {member} ]waited in vain in wait()[ of {operation}]",
    ),
    row(
        FactKind.NOT_JOINED, "ncclcomminitrank",
        r"(?:Timed out|timed out|still waiting).*ncclCommInitRank|ncclCommInitRank\w* (?P<what>timed out)",
        "the NCCL communicator could not be made in time",
    ),
    row(
        FactKind.NOT_JOINED, "is setting up nccl communicator",
        r"\[(?P<waiting>\d+)\] is setting up NCCL communicator and retr(?:ie|ei)ving ncclUniqueId from \[(?P<ranks>\d+)\] via "
        r"c10d key-value store by key '(?P<key>[^']*)'(?:, but (?:store->get\('[^']*'\) got error|got error): (?P<what>.{0,120}))?",
        "rank {waiting} waits for rank {ranks} to publish the id of the NCCL communicator (key {key})[: {what}]",
    ),
)  # fmt: skip
