"""The benchmarks that measure speed: how each is called in its short form, and which figures of its answer are shown.

Not here are those that count right and wrong answers, and take hours: `zoo`, `strangers`, `hangs`, `faults`, `parity`,
`dumps`, `replay`, `torch_releases`, `containers`, `gpu`.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

AIM = "the aim, at most"
AT_LEAST = "the aim, at least"


class Figure(msgspec.Struct, frozen=True):
    """`than`: what it is compared with, whose value in the same unit is `reference`; 0: with nothing."""

    what: str
    value: float
    unit: str
    than: str = ""
    reference: float = 0.0


class Bench(NamedTuple):
    """`argv`: a file of bench/ and its arguments, `{home}` for a folder of its own; `deadline`: seconds."""

    name: str
    argv: tuple[str, ...]
    deadline: float
    figures: Callable[[Any], list[Figure]]


def attach(rows: list[dict[str, Any]]) -> list[Figure]:
    by = {row["tool"]: row for row in rows}
    ours, first = by["lastbatch, all threads"], by["lastbatch, all threads, first time"]
    what = "8 servers of TensorFlow 1.12, stacks of all threads"
    found = [Figure(f"{what}, first time on a machine", first["seconds"], "s", "later", ours["seconds"])]
    for tool in ("pystack remote --native-all", "gdb", "eu-stack", "py-spy dump --native"):
        if tool in by:
            found.append(Figure(what, ours["seconds"], "s", f"`{tool}`", by[tool]["seconds"]))
            pause = by[tool]["pause_median_ms"]
            found.append(
                Figure(
                    "the same, longest stop as a target saw it, median of 8",
                    ours["pause_median_ms"],
                    "ms",
                    f"`{tool}`",
                    pause,
                )
            )
    return found


def attach_overhead(runs: list[dict[str, Any]]) -> list[Figure]:
    found = []
    for count, aim in ((1, 1.3), (64, 4.0)):
        walls = [run["wall_s"] for run in runs if run["processes"] == count]
        if walls:
            what = f"`lastbatch attach`, {count} stuck process{'es' * (count > 1)}, whole"
            found.append(Figure(f"{what}, median of {len(walls)}", statistics.median(walls), "s", AIM, aim))
            found.append(Figure(f"{what}, best of {len(walls)}", min(walls), "s", AIM, aim))
    return found


def unstopped(rows: list[dict[str, Any]]) -> list[Figure]:
    found = []
    for row in rows:
        compared = f"{row['job']}, {row['threads']:,} comparisons"
        found += [
            Figure(f"{compared}: threads read without a stop", 100 * row["share not stopped"], "%", AT_LEAST, 95.0),
            Figure(f"{compared}: of these, frames as when stopped", 100 * row["share equal"], "%", AT_LEAST, 99.5),
        ]
    wrong = sum(row["shorter and wrong"] + row["wrong"] for row in rows)
    return [*found, Figure("all of them: neither equal nor only shorter", wrong, "threads")]


def merge(rows: list[dict[str, Any]]) -> list[Figure]:
    row = rows[-1]
    what = f"{row['ranks']:,.0f} ranks with 30 threads each, judged, merged, shown"
    return [Figure(what, row["total"], "s", AIM, 3.0), Figure("the same, memory", row["MB"], "MB", AIM, 500.0)]


def recorder(answer: dict[str, Any]) -> list[Figure]:
    by = {(row["python"], row["subject"]): row["us"] for row in answer["results"]}
    found = []
    for version in dict.fromkeys(python for python, _ in by):
        step = by[version, "recorder: step"]
        what = f"recorder, a step, CPython {version}"
        found.append(Figure(what, step, "us", AIM, 1.0))
        for other in ("empty method", "logging to a file", "print and flush", "sqlite insert"):
            found.append(Figure(what, step, "us", other, by[version, other]))
        found += [
            Figure(f"{name}, CPython {version}", us, "us", AIM, 1.0)
            for (python, name), us in by.items()
            if python == version and name.startswith("recorder: ") and name not in ("recorder: step", "recorder: off")
        ]
    return found


def fanout(rows: list[dict[str, Any]]) -> list[Figure]:
    found = []
    for all_answer, some_silent in zip(rows[::2], rows[1::2], strict=True):
        what = f"{all_answer['hosts']:,} stand-ins for hosts"
        found += [
            Figure(f"{what}, asked and joined", all_answer["seconds"], "s", "one host", all_answer["a_host_takes_s"]),
            Figure(f"{what}, processor time of the asking", all_answer["cpu_s"], "s"),
            Figure(
                f"{what}, {some_silent['silent']} of them silent (deadline {some_silent['deadline_s']:g} s)",
                some_silent["seconds"], "s", "all answer", all_answer["seconds"],
            ),
        ]  # fmt: skip
    return found


def watch(rows: list[dict[str, Any]]) -> list[Figure]:
    by = {row["hang after s"]: row for row in rows}
    often, rarely = by[10.0], by[60.0]
    what = f"`watch`, {often['processes']:g} processes, a core"
    share = "percent of a core"
    return [Figure(f"{what}, hang after 10 s", often[share], "%", "hang after 60 s", rarely[share])]


def harmless(row: dict[str, Any]) -> list[Figure]:
    what = f"a healthy job of TensorFlow 2, {row['attaches']} attaches"
    pace, alone = row["steps a second while attaching"], row["steps a second alone"]
    return [
        Figure(f"{what}, one after the other", pace, "steps/s", "left alone", alone),
        Figure(f"{what}: stopped, median", row["pause median ms"], "ms", AIM, 5.0),
        Figure(f"{what}: stopped, longest", row["pause max ms"], "ms", AIM, 25.0),
        Figure(f"{what}: jobs whose losses differ from one left alone", float(not row["same losses"]), "jobs"),
    ]


def trace(answer: dict[str, Any]) -> list[Figure]:
    steps = answer["steps_a_second"]
    means = {name: statistics.geometric_mean(steps[name]) for name in ("with", "without")}
    what = f"a job of {answer['runtime']} with probes, {steps['pairs']} pairs of windows"
    return [Figure(what, means["with"], "steps/s", "without", means["without"])]


def torch_ring(row: dict[str, Any]) -> list[Figure]:
    what = f"{row['ranks']:,} ranks of PyTorch in {row['groups']:,} groups: who waits for whom"
    return [
        Figure(what, row["seconds"], "s", AIM, 5.0),
        Figure("the same, memory", row["megabytes"], "MB", AIM, 500.0),
    ]


def last_batch(rows: list[dict[str, Any]]) -> list[Figure]:
    found = []
    for row in rows:
        if row["hung"]:
            noticed, explained = statistics.median(row["noticing"]), statistics.median(row["collecting"])
            found += [
                Figure(f"{row['row']}: from the hang to the verdict", noticed + explained, "s", AIM, 5.0),
                Figure("the same, the part in which it was noticed", noticed, "s", AIM, 2.0),
                Figure("the same, the part in which it was explained", explained, "s", AIM, 1.5),
            ]
    return found


def memory(rows: list[dict[str, Any]]) -> list[Figure]:
    return [
        Figure(
            f"memory of a {row['role']} of `{row['model']}`, {row['size']}, predicted",
            row["predicted"] / 1e6, "MB", "measured", row["measured"] / 1e6,
        )
        for row in rows
    ]  # fmt: skip


def fuzz(row: dict[str, Any]) -> list[Figure]:
    return [Figure(f"slowest of {row['inputs']:,} damaged or hostile inputs", row["slowest_s"], "s", AIM, 2.0)]


BENCHES = (
    Bench("attach", ("attach.py", "--json"), 150, attach),
    Bench(
        "attach_overhead", ("attach_overhead.py", "--processes", "1", "64", "--runs", "3", "--json"), 180,
        attach_overhead,
    ),
    Bench("unstopped", ("unstopped.py", "--comparisons", "300", "--json"), 150, unstopped),
    Bench("merge", ("merge.py", "--ranks", "100800", "--json"), 240, merge),
    Bench("fanout", ("fanout.py", "--hosts", "256", "--json"), 90, fanout),
    Bench("recorder", ("recorder.py", "--python", "3.11", "--events", "20000", "--json"), 60, recorder),
    Bench("watch", ("watch.py", "--seconds", "10", "--json"), 90, watch),
    Bench(
        "harmless", ("harmless.py", "--attaches", "10", "--each", "10", "--keep", "{home}/kept.jsonl", "--json"), 180,
        harmless,
    ),
    Bench("last_batch", ("last_batch.py", "--only", "tf1.12 dataset", "--trials", "1", "--json"), 180, last_batch),
    Bench(
        "trace", ("trace.py", "overhead", "--runtime", "tf1.15", "--pairs", "2", "--seconds", "4", "--json"), 120, trace
    ),
    Bench("torch_ring", ("torch_ring.py",), 60, torch_ring),
    Bench("memory", ("memory.py", "--only", "wide small", "--epochs", "2", "--json"), 120, memory),
    Bench("fuzz", ("fuzz.py", "--inputs", "3000", "--json"), 60, fuzz),
)  # fmt: skip
