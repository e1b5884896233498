"""What attach says of jobs on a GPU: hung or not, the place in one line, the pause, whether the job lives on.

Runs on a bare machine: the standard library, an interpreter with torch, CuPy, JAX or TensorFlow for the jobs (what is
missing is skipped with its reason), and lastbatch, installed or as one file (`release/build.py pyz`). It reaches no
network. Jobs under which the card idles run side by side; those that keep it busy run alone, or they would be each
other's readings.

    python bench/gpu.py --out kept --seconds 520
    python bench/gpu.py --lastbatch 'python3 lastbatch.pyz' --only spin spin_ok --device
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import queue
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

PROGRAMS = Path(__file__).with_name("gpu_programs.py")
PORT = 29600
START = 90.0
"""Seconds that a framework has to start, compile and come to where it stands."""
A_ROUND = 60.0
"""Seconds that must be left before another round begins: the start, and an attach that samples on."""


class Job(NamedTuple):
    """`hung`: what is true of it. `places`: of the rank that waits, any is right; () where the card says nothing.

    `alone`: it keeps the card busy. `needs`: modules. `ranks`: processes.
    """

    name: str
    hung: bool
    places: tuple[str, ...] = ()
    alone: bool = False
    needs: tuple[str, ...] = ("torch",)
    ranks: int = 1
    nccl: tuple[int, int] = (0, 0)


JOBS = (
    Job("host_function_gil", True, ("waits",)),
    Job("graph_that_waits", True, ("waits",)),
    Job("value_that_nobody_writes", True, ("waits",)),
    Job("loader_blocked", True, ("idle",)),
    Job("loader_that_pins", True, ("idle",)),
    Job("nccl_peer_missing", True, ("peer",), ranks=2),
    Job("peer_that_never_comes", True, ("peer",), needs=("cupy",)),
    Job("communicator_aborted_by_one", True, ("peer", "endless"), True, ranks=2, nccl=(2, 30)),
    Job("jax_callback", True, ("waits",), needs=("jax",)),
    Job("tensorflow_callback", True, ("waits", "idle"), needs=("tensorflow",)),
    Job("spin", True, ("endless",), True),
    Job("occupancy", True, ("endless",), True, needs=("cupy",)),
    Job("two_streams_and_a_flag", True, ("endless",), True, needs=("cupy",)),
    Job("allocation_under_a_lock", True, ("works", "endless"), True),
    Job("jax_loop", True, ("endless", "works"), True, needs=("jax",)),
    Job("healthy", False),
    Job("slow_kernels", False, alone=True),
    *(
        Job(f"{name}_ok", False, needs=needs)
        for name, needs in (
            ("spin", ("torch",)), ("host_function_gil", ("torch",)), ("graph_that_waits", ("torch",)),
            ("value_that_nobody_writes", ("torch",)), ("loader_blocked", ("torch",)), ("loader_that_pins", ("torch",)),
            ("allocation_under_a_lock", ("torch",)), ("two_streams_and_a_flag", ("cupy",)), ("occupancy", ("cupy",)),
            ("jax_callback", ("jax",)), ("jax_loop", ("jax",)), ("tensorflow_callback", ("tensorflow",)),
        )
    ),
    Job("nccl_peer_missing_ok", False, ranks=2, nccl=(2, 30)),
)  # fmt: skip


class Row(NamedTuple):
    """`hung`, `place`, `family`: what was told. `why_not`: why it was not tried, "" where it was."""

    job: Job
    why_not: str = ""
    hung: bool | None = None
    place: str = ""
    family: str = ""
    culprit: str = ""
    pause_ms: float = 0.0
    seconds: float = 0.0
    alive: bool = False
    words: str = ""

    @property
    def hang_right(self) -> bool:
        return self.hung is True if self.job.hung else self.hung is not True

    @property
    def place_right(self) -> bool:
        return self.place in self.job.places if self.job.places else True


class Started:
    """The processes of one job, told from all others."""

    def __init__(self, job: Job, python: str, port: int) -> None:
        environ = {**os.environ, "NCCL_MULTI_RANK_GPU_ENABLE": "1", "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
                   "TF_FORCE_GPU_ALLOW_GROWTH": "true", "PYTHONUNBUFFERED": "1"}  # fmt: skip
        self.job, self.said, self.errors = job, queue.Queue[str](), [b""] * job.ranks
        self.processes = [
            subprocess.Popen(
                [python, str(PROGRAMS), job.name, str(rank), str(port)], env=environ, start_new_session=True,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )
            for rank in range(job.ranks)
        ]  # fmt: skip
        for rank, process in enumerate(self.processes):
            threading.Thread(target=self._listen, args=(process,), daemon=True).start()
            threading.Thread(target=self._keep, args=(rank, process), daemon=True).start()

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout
        for line in process.stdout:
            self.said.put(line.decode("utf-8", "replace").strip())
        self.said.put("ended")

    def _keep(self, rank: int, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr
        for line in process.stderr:
            self.errors[rank] = line.strip() or self.errors[rank]

    def wait(self, until: float) -> str:
        """Why it does not stand; "" where it does."""
        for _ in self.processes:
            try:
                word = self.said.get(timeout=max(until - time.monotonic(), 0.1))
            except queue.Empty:
                return f"it did not start within {START:.0f} s"
            if word != "stands":
                time.sleep(0.2)
                last = next((one for one in self.errors if one), b"").decode("utf-8", "replace")
                return f"it ended: {last[:160]}"
        return ""

    @property
    def alive(self) -> bool:
        return all(process.poll() is None for process in self.processes)

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, 9)
            process.wait()


def lacking(job: Job, python: str) -> str:
    """What of this machine is missing for it."""
    for module in job.needs:
        if asked(python, f"import {module}") is None:
            return f"no {module} for {python}"
    if job.nccl > (0, 0):
        told = (asked(python, "import torch; print(*torch.cuda.nccl.version()[:2])") or "").split()
        if tuple(map(int, told)) < job.nccl:
            return f"two ranks on one card take NCCL {job.nccl[0]}.{job.nccl[1]}; here is {'.'.join(told) or 'none'}"
    return ""


@cache
def asked(python: str, code: str) -> str | None:
    """What it prints; None where it fails. Frameworks take seconds to import: each is asked once."""
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    return None if done.returncode else done.stdout


def card() -> str:
    """Why there is none; "" where there is one."""
    tool = shutil.which("nvidia-smi")
    if not tool:
        return "no GPU: nvidia-smi is not installed"
    done = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=60, check=False)
    seen = done.returncode == 0 and "GPU 0" in done.stdout
    return "" if seen else f"no GPU: {(done.stdout + done.stderr).strip()[:120]}"


def attach(started: Started, command: Sequence[str], out: Path, device: bool) -> Row:
    began = time.monotonic()
    bundle = out / f"{started.job.name}.tar.zst"
    pids = [str(process.pid) for process in started.processes]
    argv = [*command, "attach", "--json", "--out", str(bundle), *(["--device"] if device else []), *pids]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
        document = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError) as error:
        return Row(started.job, f"attach failed: {type(error).__name__}", alive=started.alive)
    (out / f"{started.job.name}.json").write_text(done.stdout, "utf-8")
    return row_of(started.job, document, time.monotonic() - began, started.alive)


def row_of(job: Job, document: dict[str, Any], seconds: float, alive: bool) -> Row:
    """What one answer said, from its JSON document."""
    told = [one["device"] for one in document["ranks"] if one.get("device")]
    wanted = next((one for one in told if one["place"] in job.places), told[0] if told else None)
    culprit = next(iter(document["culprits"]), None)
    position = (culprit or {}).get("position") or {}
    return Row(
        job,
        hung=document["hung"],
        place=wanted["place"] if wanted else "",
        family=document["verdict"],
        culprit=f"{culprit['rank']} {position.get('function') or ''}" if culprit else "",
        pause_ms=max((one["pause_ms"] for one in document["ranks"]), default=0.0),
        seconds=seconds,
        alive=alive,
        words=wanted["words"] if wanted else "",
    )


def run_together(jobs: Sequence[Job], arguments: argparse.Namespace, port: int) -> list[Row]:
    started = [Started(job, arguments.python, port + index) for index, job in enumerate(jobs)]
    try:
        until = time.monotonic() + START
        reasons = [one.wait(until) for one in started]
        time.sleep(3.0)  # so that a kernel is on the card when it is first asked
        rows: list[Row | None] = [Row(one.job, why) if why else None for one, why in zip(started, reasons, strict=True)]

        def fill(index: int) -> None:
            rows[index] = attach(started[index], arguments.lastbatch, arguments.out, arguments.device)

        threads = [threading.Thread(target=fill, args=(index,)) for index, row in enumerate(rows) if row is None]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [row or Row(one.job, "attach gave nothing") for row, one in zip(rows, started, strict=True)]
    finally:
        for one in started:
            one.end()


def rounds(jobs: Sequence[Job]) -> list[list[Job]]:
    """Hanging jobs under which the card idles together, and twins together: of these only that they move counts."""
    idle = [job for job in jobs if job.hung and not job.alone]
    twins = [job for job in jobs if job.name.endswith("_ok")]
    alone = [[job] for job in jobs if job not in idle and job not in twins]
    return [batch for batch in (idle, *alone, twins) if batch]


def table(rows: Sequence[Row]) -> str:
    lines = [
        "| job | hangs | told | place | family | culprit | pause | attach | lives on |",
        "|---|---|---|---|---|---|--:|--:|---|",
    ]
    for row in rows:
        if row.why_not:
            lines.append(f"| {row.job.name} | {row.job.hung} | not tried: {row.why_not} | | | | | | |")
            continue
        mark = "" if row.hang_right else " (WRONG)"
        place = row.place + ("" if row.place_right else f" (WRONG: {' or '.join(row.job.places)})")
        lines.append(
            f"| {row.job.name} | {row.job.hung} | {row.hung}{mark} | {place} | {row.family} | {row.culprit} "
            f"| {row.pause_ms:.1f} ms | {row.seconds:.1f} s | {'yes' if row.alive else 'NO'} |"
        )
    tried = [row for row in rows if not row.why_not]
    hangs, fine = [row for row in tried if row.job.hung], [row for row in tried if not row.job.hung]
    with_place = [row for row in hangs if row.job.places]
    lines += [
        "",
        f"hang seen: {sum(row.hang_right for row in hangs)} of {len(hangs)}; place right: "
        f"{sum(row.place_right for row in with_place)} of {len(with_place)}; healthy called hung: "
        f"{sum(not row.hang_right for row in fine)} of {len(fine)}; not tried: {len(rows) - len(tried)}",
    ]
    return "\n".join(lines)


def _command() -> list[str]:
    """lastbatch as it is here: installed, or one file beside this one."""
    if importlib.util.find_spec("repro") or (PROGRAMS.parent.parent / "repro").is_dir():
        return [sys.executable, "-m", "repro"]
    return [sys.executable, "lastbatch.pyz"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=None, metavar="JOB")
    parser.add_argument("--out", type=Path, default=Path("gpu-kept"), help="where bundles and answers are kept")
    parser.add_argument("--seconds", type=float, default=520.0, help="no round begins that would not end by then")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--python", default=sys.executable, help="interpreter of the jobs")
    parser.add_argument("--lastbatch", type=shlex.split, default=_command(), metavar="COMMAND")
    parser.add_argument("--device", action="store_true", help="with cuda-gdb, where it is installed")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    jobs = [job for job in JOBS if arguments.only is None or job.name in arguments.only]
    if no_card := card():
        rows = [Row(job, no_card) for job in jobs]
    else:
        reasons = {job: lacking(job, arguments.python) for job in jobs}
        rows = [Row(job, why) for job, why in reasons.items() if why]
        for number, batch in enumerate(arguments.runs * rounds([job for job, why in reasons.items() if not why])):
            if time.monotonic() - began + A_ROUND > arguments.seconds:
                rows += [Row(job, "no time was left") for job in batch]
                continue
            rows += run_together(batch, arguments, PORT + 50 * number)
            (arguments.out / "table.md").write_text(table(rows) + "\n", "utf-8")
    said = table(rows)
    (arguments.out / "table.md").write_text(said + "\n", "utf-8")
    print(said)
    tried = [row for row in rows if not row.why_not]
    return 0 if all(row.hang_right and row.place_right for row in tried) else 1


if __name__ == "__main__":
    sys.exit(main())
