"""Ray: actors and nodes that died, placement that waits, Train's worker groups.

Wordings: `src/ray/gcs`, `src/ray/raylet/node_manager.cc`, `python/ray/exceptions.py`, `python/ray/train` of 1.x to 2.5x.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from diagnostics.importers.vocabulary.base import Block, Said, fact, row
from diagnostics.model import FactKind

ROWS = (
    row(
        FactKind.OUT_OF_MEMORY, "killed due to the node running low on memory",
        r"(?P<what>(?:(?P<workers>\d+) )?Workers? \(tasks / actors\) killed due to memory pressure|.{0,60}killed due to the node running low on memory.{0,120})",
        "Ray ended a worker, since the node ran low on memory",
    ),
    row(
        FactKind.OUT_OF_MEMORY, "killed due to memory pressure",
        r"(?P<workers>\d+) Workers? \(tasks / actors\) killed due to memory pressure(?: \(OOM\))?(?:.*on (?:the|a) node \(ID: (?P<node>\w+), IP: (?P<host>[\w.:]+)\))?",
        "Ray ended {workers} workers[ on {host}], since memory ran low",
    ),
    row(
        FactKind.ENDED, "the actor died",
        r"(?:The actor died|actor .{0,80} died)(?P<what>.{0,240})", "an actor of Ray died{what}",
    ),
    row(
        FactKind.ENDED, "a worker died or was killed",
        r"A worker died or was killed while executing (?:a|the) task(?: by an unexpected system error)?(?P<what>.{0,200})",
        "a worker of Ray died while it ran a task{what}",
    ),
    row(
        FactKind.ENDED, "worker exit type",
        r"Worker exit type: (?P<exit_type>\w+) ?(?:Worker exit detail: (?P<what>.{0,240}))?",
        "a worker of Ray ended ({exit_type})[: {what}]",
    ),
    row(
        FactKind.ENDED, "worker exit detail",
        r"Worker exit detail: (?P<what>.{0,240})", "a worker of Ray ended: {what}",
    ),
    row(
        FactKind.HEARTBEAT_LOST, "missed too many heartbeats",
        r"(?P<what>.{0,120}missed too many heartbeats.{0,80})", "{what}",
    ),
    row(
        FactKind.HEARTBEAT_LOST, "has been marked dead",
        r"node with node id: (?P<node>\w+) and address: (?P<host>[\w.:]+).*has been marked dead", "the node {host} is dead for Ray",
    ),
    row(
        FactKind.NOT_JOINED, "cannot be scheduled right now",
        r"(?P<what>(?:actor|task|bundle).{0,80}(?:cannot be scheduled right now|\(pending\)).{0,160})", "{what}",
    ),
    row(
        FactKind.NOT_JOINED, "placement group creation timed out",
        r"[Pp]lacement group creation timed out(?P<what>.{0,160})", "the placement group could not be made in time{what}",
    ),
    row(
        FactKind.NOT_JOINED, "waiting for scheduling",
        r"(?P<what>.{0,120}waiting for scheduling.{0,120})", "{what}",
    ),
    row(
        FactKind.NOT_JOINED, "worker group startup timed out",
        r"worker group startup timed out after (?P<seconds>[\d.]+) seconds waiting for (?P<expected>\d+) workers",
        "{expected} workers of Ray Train did not all start within {seconds} s",
    ),
    row(
        FactKind.NOT_JOINED, "waiting for",
        r"Waiting for (?:more )?(?P<what>nodes|workers|replicas|hosts|ranks|peers|clients)\b[^:]{0,40}: ?(?P<joined>\d+)/(?P<expected>\d+)",
        "waits: {joined} of {expected} {what} have come",
    ),
    row(
        FactKind.STUCK, "gettimeouterror",
        r"GetTimeoutError: (?P<what>.{0,200})", "a result of Ray did not come in time: {what}",
    ),
)  # fmt: skip

_DIED = re.compile(r"(?:Actor\w*Error: The actor (?:died|is unavailable)|The actor died)(.*)")
_FIELD = re.compile(r"\s+(class_name|actor_id|pid|name|namespace|ip): ?(\S.*)$")
_OWNER = re.compile(r"The actor is dead because its owner has died\..*?Owner Ip address: ([\w.:]+)(?:.*Worker exit detail: (.{1,160}))?")
_RAYLET = re.compile(r"Worker IP address: ([\w.:]+) Worker port: \d+ Worker PID: (\d+)(?: Worker exit type: (\w+))?")


class Actor(Block):
    """Which actor died: its class, process and host stand a line each below the message."""

    def __init__(self) -> None:
        self._fields: dict[str, str] | None = None

    def feed(self, line: str) -> Iterable[Said]:
        if owner := _OWNER.search(line):
            detail = f" ({owner[2].strip(' .')})" if owner[2] else ""
            yield _ended(f"the owner of an actor, on {owner[1]}, has died{detail}", line, host=owner[1])
        if worker := _RAYLET.search(line):
            words = f"Ray's worker process {worker[2]} on {worker[1]} died{f' ({worker[3]})' if worker[3] else ''}"
            yield _ended(words, line, host=worker[1], pid=worker[2])
        if _DIED.search(line):
            self._fields = {}
        elif self._fields is not None:
            if field := _FIELD.match(line):
                self._fields[field[1]] = field[2].strip()[:100]
            else:
                yield from self._said(line)

    def finish(self) -> Iterable[Said]:
        return self._said("")

    def _said(self, line: str) -> Iterable[Said]:
        fields, self._fields = self._fields, None
        if fields and (fields.get("pid") or fields.get("ip")):
            words = (
                f"the actor {fields.get('name') or fields.get('class_name') or fields.get('actor_id', '?')} "
                f"(pid {fields.get('pid', '?')}) on {fields.get('ip', '?')} died"
            )
            yield _ended(words, line, host=fields.get("ip", ""), pid=fields.get("pid", ""))


def _ended(words: str, line: str, **values: str) -> Said:
    return Said("", fact(FactKind.ENDED, words, line, **values))


BLOCKS = (Actor,)
