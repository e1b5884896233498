"""Which runtimes work here, for `lastbatch doctor`: looks, and changes nothing."""

from pathlib import Path
from typing import Literal

import msgspec

from diagnostics.errors import MissingError, UsageError
from repro.runtimes import cache
from repro.runtimes.build import choose_interpreter, find_ready
from repro.runtimes.names import ALIASES, RuntimeSpec, parse


class RuntimeState(msgspec.Struct, frozen=True):
    """One runtime as `doctor` shows it."""

    name: str
    """What to type: `tf1.12`; for an exact release found in the cache, that release."""
    release: str
    """`tf1.12.0`."""
    state: Literal["ready", "can be made", "interpreter missing"]
    python_version: str
    """Of the interpreter that it has or would get; empty if there is none."""
    what_to_do: str
    """One line for the user; empty where nothing needs doing."""
    path: Path
    """Its directory, whether it is there yet or not."""
    size: int
    """Bytes on disk; 0 unless ready."""


def available() -> list[RuntimeState]:
    """The runtimes that scenarios ask for, and whatever else is in the cache.

    Runs each interpreter that it finds, which takes about 50 ms for each.
    """
    specs = {spec.release: spec for spec in map(parse, [*ALIASES, "torch"])}
    for spec in _cached():
        specs.setdefault(spec.release, spec)
    return [_state(spec) for spec in specs.values()]


def _cached() -> list[RuntimeSpec]:
    try:
        names = sorted(path.name for path in cache.root().iterdir() if path.is_dir())
    except OSError:
        return []
    found = []
    for name in names:
        try:
            spec = parse(name)
        except UsageError:
            continue
        if spec.release == name and find_ready(spec) is not None:
            found.append(spec)
    return found


def _state(spec: RuntimeSpec) -> RuntimeState:
    directory = cache.root() / spec.release
    ready = find_ready(spec)
    if ready is not None:
        marker = cache.read_marker(directory)
        size = marker.size if marker is not None else 0
        return RuntimeState(spec.name, spec.release, "ready", ready.python_version, "", directory, size)
    try:
        version = choose_interpreter(spec).version
    except MissingError as error:
        return RuntimeState(spec.name, spec.release, "interpreter missing", "", str(error), directory, 0)
    todo = f"made when first asked for (--runtime {spec.name})"
    return RuntimeState(spec.name, spec.release, "can be made", version, todo, directory, 0)
