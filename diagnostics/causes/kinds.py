"""What a job is made of: frameworks and languages, so that nobody is told to use another one's. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from diagnostics.analyze.family import launches
from diagnostics.model import Process
from diagnostics.model.rank import parse
from diagnostics.stacks.merge import is_eval
from diagnostics.stacks.symbols import library_of

FRAMEWORKS = frozenset({"torch", "tensorflow", "jax"})
LANGUAGES = frozenset({"python", "compiled"})
KINDS = FRAMEWORKS | LANGUAGES


def kinds_of(processes: tuple[Process, ...]) -> frozenset[str]:
    """Those of `KINDS` that the job has, or may have where nothing tells: logs alone, a dump without versions."""
    known = frozenset(kind for process in _at_work(processes) for kind in _kinds(process))
    frameworks, languages = known & FRAMEWORKS, known & LANGUAGES
    # A live process's libraries are read with its versions; what a dump does not show may be there all the same.
    seen = frameworks or any(process.versions.kernel for process in processes)
    return (frameworks if seen else FRAMEWORKS) | (languages or LANGUAGES)


def _at_work(processes: tuple[Process, ...]) -> list[Process]:
    """Without shells and launchers, and without the helpers of ranks where there are ranks."""
    started = [process for process in processes if not launches(process, processes)] or list(processes)
    return [process for process in started if not parse(process.rank).is_child] or started


def _kinds(process: Process) -> Iterator[str]:
    frames = [frame for thread in process.threads for frame in thread.frames]
    if process.versions.python or any(not frame.native or is_eval(frame) for frame in frames):
        yield "python"
    elif frames:
        yield "compiled"
    yield from FRAMEWORKS & {process.versions.framework, *map(library_of, frames)}
