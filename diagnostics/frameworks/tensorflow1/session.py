"""One trace of a job: find the library, put the probes on it, wait, take them away, judge."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from diagnostics.collector import procfs
from diagnostics.errors import MissingError
from diagnostics.frameworks.tensorflow1 import bpftrace
from diagnostics.frameworks.tensorflow1.bpftrace import Place, Tracer
from diagnostics.frameworks.tensorflow1.events import decode
from diagnostics.frameworks.tensorflow1.library import open_library
from diagnostics.frameworks.tensorflow1.probes import ProbeSet, Scope
from diagnostics.model.trace import TraceResult


class Plan(msgspec.Struct, frozen=True):
    """Where the probes of a set go in one library."""

    probe_set: ProbeSet
    library: Path
    places: tuple[Place, ...]
    offsets: Mapping[str, int]


def find_library(pid: int, probe_set: ProbeSet) -> Path:
    """The file, as this machine's root sees it, that holds the set's functions in a process.

    Raises:
        MissingError: the process has not mapped such a file.
    """
    mapped = procfs.mapped_files(pid)
    for name in probe_set.libraries:
        for path in mapped:
            if os.path.basename(path) == name:
                inside = Path(f"/proc/{pid}/root{path}")
                return Path(path) if Path(path).exists() and Path(path).samefile(inside) else inside
    raise MissingError(
        f"process {pid} has none of {', '.join(probe_set.libraries)} mapped",
        f"Probe set {probe_set.name} is for {probe_set.summary}",
    )


def library_of(python: Path, probe_set: ProbeSet) -> Path:
    """The file in an interpreter's environment, before any process has mapped it.

    Raises:
        MissingError: it is not there.
    """
    packages = python.parent.parent.glob("lib/python3*/site-packages")
    found = [path for home in packages for name in probe_set.libraries for path in home.glob(f"*/**/{name}")]
    if not found:
        raise MissingError(
            f"{python} has no {' or '.join(probe_set.libraries)}",
            f"Probe set {probe_set.name} is for {probe_set.summary}",
        )
    return found[0]


def plan(probe_set: ProbeSet, path: Path) -> Plan:
    """Raises: MissingError: the library does not hold what the set needs; which functions, and why that may be."""
    library = open_library(path)
    found = library.find(probe.symbol for probe in probe_set.probes)
    lacking = [probe.symbol for probe in probe_set.probes if probe.needed and probe.symbol not in found]
    if lacking:
        raise MissingError(
            f"{path.name} does not name {readable(lacking[0])}"
            + (f" and {len(lacking) - 1} more functions" if len(lacking) > 1 else ""),
            f"It was stripped, or is of another release. Probe set {probe_set.name} is for {probe_set.summary}",
        )
    offsets = probe_set.offsets(library)
    if offsets is None:
        raise MissingError(
            f"the code of {path.name} does not have the form that probe set {probe_set.name} knows",
            "It reads where a call keeps its callback from the code of the release's own wheels",
        )
    places = tuple(Place(probe, found[probe.symbol]) for probe in probe_set.probes if probe.symbol in found)
    return Plan(probe_set, path, places, offsets)


def readable(symbol: str) -> str:
    """`_ZN10tensorflow6Worker9AbortStepE` -> `tensorflow::Worker::AbortStep`."""
    rest, parts = symbol.removeprefix("_ZNK").removeprefix("_ZN"), []
    while rest and rest[0].isdigit():
        digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
        rest = rest[len(digits) :]
        parts.append(rest[: int(digits)])
        rest = rest[int(digits) :]
    return "::".join("(anonymous namespace)" if part == "_GLOBAL__N_1" else part for part in parts) or symbol


class Session:
    """A trace that runs. `finish` ends it and judges."""

    def __init__(self, chosen: Plan, ranks: Mapping[int, str], tracer: Tracer) -> None:
        self._plan, self._ranks, self._tracer = chosen, ranks, tracer
        self.result: TraceResult | None = None

    def wait_until_attached(self) -> None:
        self._tracer.wait_until_attached()

    def finish(self) -> TraceResult:
        lines = self._tracer.stop()
        scope = Scope(self._ranks, self._tracer.began, self._tracer.ended, self._plan.library)
        chosen, offsets = self._plan.probe_set, self._plan.offsets
        decoded = decode(lines, chosen.probes)
        if chosen.look:
            decoded = decoded._replace(events=decoded.events + chosen.look(decoded, scope, offsets))
        judged = chosen.judge(decoded, scope)
        self.result = msgspec.structs.replace(judged, probe_set=chosen.name, library=str(self._plan.library))
        return self.result


@contextmanager
def tracing(chosen: Plan, ranks: Mapping[int, str]) -> Iterator[Session]:
    """Probes on the processes in `ranks` (process -> rank), until the block ends.

    Raises:
        MissingError: no root, no bpftrace, no tracefs.
    """
    program = bpftrace.script(chosen.library, chosen.places, tuple(ranks), chosen.offsets)
    with Tracer(program) as tracer:
        yield Session(chosen, ranks, tracer)
