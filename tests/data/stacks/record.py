"""Records stacks of tiny programs that wait, with every tool that can read them, and the positions they come to.

    python tests/data/stacks/record.py [PROGRAM...]            record anew
    python tests/data/stacks/record.py --from BUNDLE NAME RUNTIME
                                                               keep the stacks of a bundle, of alike threads one
    python tests/data/stacks/record.py --accept                take what the tables say today for the recorded stacks
    python tests/data/stacks/record.py --check [PROGRAM...]    say where positions differ from those that are recorded

A recording is one program on one runtime, read by one tool: its distinct frames, and of each thread the frames and the
position. `tests/fast/test_golden_stacks.py` compares these with what the symbol tables say today. When a new release of
a library is added, `--check` on it shows which of its symbols have been renamed. Stopped and removed is all it starts.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[2]))

from diagnostics import bundle  # noqa: E402
from diagnostics.importers import files  # noqa: E402
from diagnostics.model import Frame, Process, Thread  # noqa: E402
from diagnostics.stacks.position import classify  # noqa: E402
from repro.runtimes import ensure  # noqa: E402

SETTLE = 4.0
"""Seconds after `ready` that a framework may take until it waits where it will wait for ever."""
PYTHONS = ("3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13")
ALL_TOOLS = ("attach", "py-spy", "pystack", "gdb", "eu-stack")
FEW_TOOLS = ("attach", "py-spy")


class Program(NamedTuple):
    """`runs`: the words of each process; `{port}` is a free port. `runtimes`: of the first, `c` for a C program."""

    source: str
    runtimes: tuple[str, ...]
    runs: tuple[tuple[str, ...], ...] = ((),)
    tools: tuple[str, ...] = FEW_TOOLS


def _group(way: str) -> Program:
    return Program("group.py", ("torch",), ((way, "0", "{port}"), (way, "1", "{port}")))


PROGRAMS = {
    "waits": Program("waits.py", PYTHONS),
    "waits-all-tools": Program("waits.py", ("3.6", "3.11", "3.13"), tools=("pystack", "gdb", "eu-stack")),
    "forked": Program("forked.py", ("3.8", "3.12")),
    "pools": Program("pools.py", ("3.8", "3.12")),
    "locks": Program("locks.c", ("c",), tools=("attach", "gdb", "eu-stack")),
    **{
        f"group-{way}": _group(way)
        for way in ("all_reduce", "barrier", "recv", "object", "async", "backward", "rebuild", "absent")
    },
    "loader": Program("loader.py", ("torch",)),
    "baton": Program("baton.py", ("torch",)),
    "session-local": Program("session.py", ("tf1.12", "tf1.15"), (("local", "worker", "{port}"),)),
    "session-remote": Program(
        "session.py", ("tf1.12", "tf1.15"), (("remote", "ps", "{port}"), ("remote", "worker", "{port}"))
    ),
    "session-absent": Program("session.py", ("tf1.12",), (("absent", "worker", "{port}"),)),
    "dataset": Program("dataset.py", ("tf2",)),
}


def python_of(runtime: str) -> str:
    if runtime[0] == "3":
        return str(sorted(Path("~/.pyenv/versions").expanduser().glob(f"{runtime}.*/bin/python"))[-1])
    return str(ensure(runtime).python)


def free_port() -> int:
    """A port that is free, as is the one above it."""
    while True:
        with socket.socket() as one, socket.socket() as two, suppress(OSError):
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
            two.bind(("127.0.0.1", port + 1))
            return port


@contextmanager
def running(program: Program, runtime: str) -> Iterator[list[int]]:
    """The process ids of a program, and of the children that it names, when all wait; ended afterwards."""
    port = str(free_port())
    with tempfile.TemporaryDirectory() as folder, ExitStack() as cleanup:
        source = HERE / "programs" / program.source
        if source.suffix == ".c":
            subprocess.run(["cc", "-g", "-fopenmp", "-o", f"{folder}/{source.stem}", source], check=True)
            start = [f"{folder}/{source.stem}"]
        else:
            shutil.copy(source, folder)
            start = [python_of(runtime), f"{folder}/{source.name}"]
        pids = []
        environ = {**os.environ, "OMP_NUM_THREADS": "2", "TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": ""}
        for words in program.runs:
            argv = start + [word.replace("{port}", port) for word in words]
            process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environ, start_new_session=True)
            cleanup.callback(_end, process)
            pids.append(process.pid)
            if words is program.runs[0] or len(program.runs) == 1:
                pids += _children_until_ready(process)
        time.sleep(0 if runtime[0] in "3c" else SETTLE)
        yield pids


def _children_until_ready(process: subprocess.Popen[str]) -> list[int]:
    children: list[int] = []
    assert process.stdout
    for line in process.stdout:
        if line.startswith("child "):
            children += map(int, line.split()[1:])
        if line.strip() == "ready":
            return children
    raise SystemExit(f"{process.args!r} ended before it was ready")


def _end(process: subprocess.Popen[str]) -> None:
    """With all of its session."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def read(tool: str, pid: int) -> Process:
    """The process as a tool sees it."""
    scripts = Path(sys.executable).parent
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("job.tar.zst" if tool == "attach" else "dump.txt")
        commands = {
            "attach": [f"{scripts}/lastbatch", "attach", str(pid), "--no-children", "--gap", "0.2", "--out", str(path)],
            "py-spy": [f"{scripts}/py-spy", "dump", "--pid", str(pid)],
            "pystack": [f"{scripts}/pystack", "remote", "--no-color", "--native-all", str(pid)],
            "gdb": ["gdb", "-nx", "-batch", "-p", str(pid), "-ex", "thread apply all bt"],
            "eu-stack": ["eu-stack", "-p", str(pid)],
        }
        environ = {**os.environ, "DEBUGINFOD_URLS": "", "LC_ALL": "C"}
        done = subprocess.run(commands[tool], capture_output=True, text=True, env=environ)
        if tool == "attach":
            return bundle.read(path).collection.processes[0]
        path.write_text(done.stdout)
        return files.read(path).processes[0]


def recording(program: str, runtime: str, tool: str, process: Process) -> dict[str, Any]:
    """What is kept: no process or thread ids, no samples, paths without this machine's folders."""
    known: dict[tuple[Any, ...], int] = {}
    threads = sorted(process.threads, key=lambda thread: (thread.tid != process.pid, thread.tid))
    rows = [
        {
            "name": thread.name,
            "frames": [known.setdefault(_row(frame), len(known)) for frame in thread.frames],
            **({"holds_gil": True} if thread.holds_gil else {}),
        }
        for thread in threads
    ]
    frames = [list(row) for row in known]
    found = {"program": program, "runtime": runtime, "tool": tool, "frames": frames, "threads": rows}
    for row, position in zip(rows, positions(found), strict=True):
        row["position"] = position
    return found


_ROOT = re.compile(r"^/.*?(?=/lib/python[\d.]+/)")


def _row(frame: Frame) -> tuple[Any, ...]:
    file, name = _ROOT.sub("/usr", frame.file), frame.file.rpartition("/")[2]
    if frame.native or not file.startswith(("/usr", "<")):
        file = f"/job/{name}" if file.startswith("/") and not frame.native else name if frame.native else file
    return frame.function[:200], file, frame.line, int(frame.native)


def process_in(found: dict[str, Any]) -> Process:
    """The process of a recording, with thread ids made up; the first thread is the main one."""
    frames = [Frame(function, file, line, bool(native)) for function, file, line, native in found["frames"]]
    threads = [
        Thread(tid, row["name"], tuple(frames[index] for index in row["frames"]), row.get("holds_gil", False))
        for tid, row in enumerate(found["threads"], 1)
    ]
    return Process("worker:0", 1, "host", threads=tuple(threads))


def positions(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Of each thread what a stack alone says."""
    return [
        {
            "operation": position.operation,
            "waits": position.waits.name,
            "at": position.place,
            "own": position.own,
            "roles": [role.name for role in position.roles],
            **({"limited": True} if position.limited else {}),
        }
        for position in classify(process_in(found)).positions
    ]


def main(words: list[str]) -> int:
    if "--help" in words:
        print(__doc__)
        return 0
    if "--accept" in words:
        return _accept()
    if words[:1] == ["--from"]:
        return _keep(*words[1:])
    check = "--check" in words
    chosen = [word for word in words if not word.startswith("-")] or list(PROGRAMS)
    differ = 0
    for name in chosen:
        program = PROGRAMS[name]
        for runtime in program.runtimes:
            with running(program, runtime) as pids:
                for tool in program.tools:
                    for number, pid in enumerate(pids):
                        path = HERE / f"{name}.{number}.{runtime}.{tool}.json"
                        found = recording(name, runtime, tool, read(tool, pid))
                        print(path.name, len(found["threads"]), "threads", flush=True)
                        if check:
                            differ += _compare(json.loads(path.read_text()), found)
                        else:
                            _write(path, found)
    return int(differ > 0)


def _write(path: Path, found: dict[str, Any]) -> None:
    path.write_text(json.dumps(found, separators=(",", ":")) + "\n")


def _keep(path: str, name: str, runtime: str) -> int:
    for number, process in enumerate(bundle.read(Path(path)).collection.processes):
        threads = {thread.frames: thread for thread in reversed(process.threads)}
        process = msgspec.structs.replace(process, threads=tuple(threads.values()))
        _write(HERE / f"{name}.{number}.{runtime}.attach.json", recording(name, runtime, "attach", process))
    return 0


def _accept() -> int:
    for path in sorted(HERE.glob("*.json")):
        found = json.loads(path.read_text())
        for row, position in zip(found["threads"], positions(found), strict=True):
            row["position"] = position
        _write(path, found)
    return 0


def _compare(before: dict[str, Any], now: dict[str, Any]) -> int:
    """Prints positions that came or went, whatever the order of the threads."""
    kinds = [
        sorted(json.dumps([row["name"], {**row["position"], "at": ""}]) for row in found["threads"])
        for found in (before, now)
    ]
    gone = [row for row in kinds[0] if row not in kinds[1]]
    new = [row for row in kinds[1] if row not in kinds[0]]
    for sign, rows in (("-", gone), ("+", new)):
        for row in rows:
            print(f"  {sign} {row}")
    return len(gone) + len(new)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
