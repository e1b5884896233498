"""What it takes to merge, classify, judge and show a job of 100,000 ranks with 30 threads each on 1,600 hosts.

Merging is associative, so hosts merge first; here two processes do the hosts' share, half of the hosts each, and this
one joins the two halves. Making up the job is not counted. Times are CPU seconds, which on two free cores are the
wall's; the two halves run side by side, so the slower one counts.

    python bench/merge.py                   a table: ranks, seconds of each stage, memory
"""

from __future__ import annotations

import argparse
import io
import random
import resource
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import NamedTuple

import msgspec
from rich.console import Console

from diagnostics.analyze.judge import judge
from diagnostics.model import Collection, Diagnosis, Frame, Process, Sample, Thread, ThreadSample
from diagnostics.report.terminal import render_diagnosis
from diagnostics.stacks.position import classify
from diagnostics.stacks.prefix_tree import (
    Alike,
    Forest,
    alike_of,
    merge_alike,
    merge_all,
    merge_processes,
    rank_classes,
)

HOSTS, THREADS = 1600, 30


class Share(NamedTuple):
    """What one process made of its hosts, and how long each stage took."""

    forest: Forest
    alike: tuple[Alike, ...]
    processes: tuple[Process, ...]  # judged, without their threads and positions
    seconds: dict[str, float]


def native(name: str) -> Frame:
    return Frame(name, "libtensorflow_framework.so", native=True)


def stacks(seed: int) -> list[tuple[Frame, ...]]:
    """Some hundred different stacks with common beginnings, 8 to 30 frames deep."""
    draw = random.Random(seed)
    pools = [tuple(native(f"tensorflow::Pool{pool}::Loop{depth}") for depth in range(6)) for pool in range(8)]
    found = []
    for number in range(240):
        depth = draw.randint(2, 24)
        own = tuple(native(f"tensorflow::Op{number % 60}::Step{level}") for level in range(depth))
        found.append(draw.choice(pools) + own + (native("std::condition_variable::wait"), native("futex_wait")))
    return found


def mains() -> list[tuple[Frame, ...]]:
    def python(name: str) -> Frame:
        return Frame(name, "train.py", 7)

    run = (python("<module>"), python("train"), python("run"), native("TF_SessionRun"))
    return [
        (*run, native("tensorflow::LocalMaster::RunStep")),
        (*run, native("tensorflow::GrpcRemoteMaster::RunStep")),
        (python("<module>"), python("serve"), native("tensorflow::GrpcServer::Join")),
        (python("<module>"), python("train"), python("save"), native("tensorflow::Saver::Save")),
    ]


def job(ranks: int, half: int) -> Iterator[list[Process]]:
    """Half of the hosts, one after the other: their processes. Equal stacks are separate objects on each host, as if
    decoded."""
    draw = random.Random(half)
    per_host = max(ranks // HOSTS, 1)
    for host in range(half, HOSTS, 2):
        known, main = stacks(draw.randint(0, 3)), mains()
        samples = tuple(
            Sample(at, tuple(ThreadSample(t, "t", "S", 1.0, 100, 3) for t in range(THREADS))) for at in (1.0, 2.0)
        )
        processes = []
        for index in range(per_host):
            number = host * per_host + index
            kind = 0 if number % 5 else 2
            kind = 3 if number == 77777 % ranks else 1 if number % 977 == 0 else kind
            # Most threads of most ranks idle in the same few places; one in a hundred is somewhere else.
            threads = (
                Thread(1, frames=main[kind]),
                *(
                    Thread(tid, frames=known[tid % 20 if draw.random() < 0.99 else draw.randrange(len(known))])
                    for tid in range(2, THREADS + 1)
                ),
            )
            role = "ps" if kind == 2 else "worker"
            processes.append(Process(f"{role}:{number}", 1, f"host{host}", threads=threads, samples=samples))
        yield processes


def share(ranks: int, half: int) -> Share:
    seconds = {"classify and judge": 0.0, "merge on hosts": 0.0, "merge hosts": 0.0}

    def timed(stage: str, began: float) -> None:
        seconds[stage] += time.process_time() - began

    forests, slim = [], []
    alike: list[Alike] = []
    for processes in job(ranks, half):
        began = time.process_time()
        judged = [_judged(process) for process in processes]
        timed("classify and judge", began)
        began = time.process_time()
        forests.append(merge_processes(judged))
        alike += alike_of(judged)
        slim += [msgspec.structs.replace(process, threads=(), samples=(), positions=()) for process in judged]
        timed("merge on hosts", began)
    began = time.process_time()
    forest, classes = merge_all(forests), merge_alike(alike)
    timed("merge hosts", began)
    return Share(forest, classes, tuple(slim), seconds)


def _judged(process: Process) -> Process:
    process = classify(process)
    state, why = judge(process)[:2]
    return msgspec.structs.replace(process, state=state, state_why=why, stacks_from="unwind")


def whole(shares: Sequence[Share]) -> tuple[Collection, Diagnosis]:
    processes = tuple(process for one in shares for process in one.processes)
    diagnosis = Diagnosis(
        verdict="unknown", summary="", findings=(), next_evidence=(),
        classes=rank_classes(merge_alike([part for one in shares for part in one.alike])),
        tree=merge_all([one.forest for one in shares]),
    )  # fmt: skip
    return Collection(collected_at=0.0, seconds=0.0, processes=processes), diagnosis


def measure(ranks: int) -> dict[str, float]:
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        shares = list(pool.map(share, (ranks, ranks), (0, 1)))
    stages = {stage: max(one.seconds[stage] for one in shares) for stage in shares[0].seconds}
    began = time.process_time()
    collection, diagnosis = whole(shares)
    stages["join"] = time.process_time() - began
    began = time.process_time()
    page = Console(file=io.StringIO(), width=120)
    page.print(render_diagnosis(collection, diagnosis, verbose=True))
    stages["render"] = time.process_time() - began
    peak = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    total = sum(stages.values())
    counts = {"ranks": len(collection.processes), "threads": sum(node.threads for node in diagnosis.tree)}
    return {**counts, "classes": len(diagnosis.classes), **stages, "total": total, "MB": peak[0] + 2 * peak[1]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, nargs="*", default=[25_600, 51_200, 100_800])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = [measure(ranks) for ranks in arguments.ranks]
    if arguments.json:
        print(msgspec.json.encode(rows).decode())
        return
    print(" ".join(f"{name:>18}" for name in rows[0]))
    for row in rows:
        cells = (
            f"{value:18,.0f}" if value == int(value) or value > 100 else f"{value:18.2f}" for value in row.values()
        )
        print(" ".join(cells))


if __name__ == "__main__":
    main()
