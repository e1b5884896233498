"""What a report has to bear: hostile text in every string of a hang, and more threads than anybody reads."""

from __future__ import annotations

from typing import Any

import msgspec
from report_samples import WALL, flight_of_worker, last_batch_diagnosis, last_batch_hang, samples

from diagnostics.model import Collection, Connection, Diagnosis, Event, Frame, OpenSpan, Process, State, Thread


def large(ranks: int = 5, threads: int = 40, frames: int = 25) -> tuple[Collection, Diagnosis]:
    """The worst that merging can meet: no two threads share a frame, and every string is long."""
    processes = tuple(
        Process(
            rank=f"worker:{rank}", pid=1000 + rank, host="node-a.cluster.example.org", state=State.HUNG,
            state_why="in a step for 31.2 s " * 4, stacks_from="pystack", pause=0.4,
            command=("python", "train.py", *(f"--flag-{index}=some-value" for index in range(40))),
            threads=tuple(
                Thread(
                    rank * 100 + thread, "python",
                    tuple(
                        Frame(
                            f"tensorflow::some_namespace::AClassWithALongName{rank}::Method{thread}::Step{frame}",
                            f"/opt/site-packages/tensorflow/python/training/file_{rank}_{thread}_{frame}.py",
                            frame, native=bool(frame % 2),
                        )
                        for frame in range(frames)
                    ),
                )
                for thread in range(threads)
            ),
            samples=samples(rank * 100, threads, moving=threads),
            connections=tuple(
                Connection(f"10.0.0.1:{index}", f"10.0.0.2:{index}", "ESTABLISHED", f"worker:{index % ranks}")
                for index in range(60)
            ),
            log_tail=tuple(f"line {index} " + "x" * 400 for index in range(200)),
            flight=flight_of_worker(),
        )
        for rank in range(ranks)
    )  # fmt: skip
    collection = Collection(WALL, 12.0, processes)
    diagnosis = last_batch_diagnosis(collection)
    return collection, diagnosis


HOSTILE = (
    "<script>alert(1)</script>",
    "</style></script><img src=x onerror=alert(1)>",
    "\"' onmouseover='alert(1)' x=\"",
    "{{ 7 * 7 }}{% raw %}",
    "[red]markup[/red] [link=https://evil.example]x[/link] [/]",
    "\x1b[2J\x1b]8;;https://evil.example\x07click\x1b]8;;\x07\x9b31m",
    "a\x00b\rc\nd\x7f",
    "\udcff\ud800 lone",
    "\u202egnp.exe\u2066\u200b\ufeff",
    "```\n</details>\n# heading | cell | @torvalds #1 tensorflow/tensorflow#1 <!-- ![x](https://evil.example/p.png)",
    "javascript:alert(1)",
    'https://evil.example/<script>"onclick="',
    "1. - * > | `` ` \\` \\| &lt;b&gt; ~~~ ***",
)
"""What a log line, a process's name or a dump from elsewhere may hold."""

ENUMS = (State,)


def poisoned(text: str) -> tuple[Collection, Diagnosis]:
    """The hang with `text` in every string of it, but for the kinds of the recorder's events."""
    collection, diagnosis = last_batch_hang()
    return _poison(collection, text), _poison(diagnosis, text)


def _poison(value: Any, text: str) -> Any:
    if isinstance(value, ENUMS):
        return value
    if isinstance(value, str):
        return text
    if isinstance(value, msgspec.Struct):
        keep = ("kind",) if isinstance(value, Event | OpenSpan) else ()
        fields = {name: getattr(value, name) for name in value.__struct_fields__}
        return type(value)(**{n: old if n in keep else _poison(old, text) for n, old in fields.items()})
    if isinstance(value, tuple):
        return tuple(_poison(item, text) for item in value)
    if isinstance(value, dict):
        return {key: _poison(item, text) for key, item in value.items()}
    return value
