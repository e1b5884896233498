"""The lines of a collector's answer, as they are decoded: strictly, and nothing of it is trusted."""

from __future__ import annotations

from typing import Any

import msgspec

from diagnostics.model import (
    Attempt,
    Flight,
    Observed,
)


class About(msgspec.Struct, forbid_unknown_fields=True):
    """Of the host. `machine` is its architecture as uname tells it."""

    host: str
    machine: str = ""
    kernel: str = ""


class Told(msgspec.Struct, forbid_unknown_fields=True):
    """What a scan tells of one process, here or on another host."""

    pid: int
    parent: int
    uid: int = -1
    command: tuple[str, ...] = ()
    environ: dict[str, str] = {}
    cgroup: str = ""
    frameworks: tuple[str, ...] = ()
    listens: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    asks: tuple[str, ...] = ()
    started: int = 0
    ended: bool = False
    status: int | None = None


class EvidenceThere(Observed, frozen=True, kw_only=True):
    """What sources gave of one process."""

    pid: int


class BesideThere(msgspec.Struct, forbid_unknown_fields=True):
    """What is the host's. `left_out`: sources that gave nothing, each with its reason."""

    devices: tuple[dict[str, Any], ...] = ()
    kernel_log: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


class OutputThere(msgspec.Struct, forbid_unknown_fields=True):
    """What a stack collector gave: text, or (tid, name, holds the GIL, frames of function, file, line, native)."""

    text: str = ""
    threads: list[tuple[int, str, bool, list[tuple[str, str, int, bool]]]] | None = None


class StacksThere(msgspec.Struct, forbid_unknown_fields=True):
    pid: int
    attempts: tuple[Attempt, ...] = ()
    outputs: dict[str, OutputThere] = {}
    state_after: str = ""
    at: float = 0.0


class LaterThere(msgspec.Struct, forbid_unknown_fields=True):
    pid: int
    flight: Flight | None = None


class AskedThere(msgspec.Struct, forbid_unknown_fields=True):
    """What a source gave that answers only when asked, as it says it; who asked decodes it."""

    pid: int
    found: dict[str, Any] = {}


class Line(msgspec.Struct, forbid_unknown_fields=True):
    """One line of an answer."""

    about: About | None = None
    seen: tuple[Told, ...] | None = None
    evidence: EvidenceThere | None = None
    beside: BesideThere | None = None
    stacks: StacksThere | None = None
    later: LaterThere | None = None
    asked: AskedThere | None = None
    done: bool = False
