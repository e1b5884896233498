"""Feeds damaged and hostile inputs to everything that reads what it did not write: bundles, recorders, dumps, agents.

Each input starts from a good one, cut, spliced, or with bytes changed. What must come of it is a result or one of our
own errors, within two seconds, and no file outside the folder that a bundle is unpacked to.

    python bench/fuzz.py --inputs 100000
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec

from diagnostics import bundle
from diagnostics.discover.scan import seen_of
from diagnostics.errors import LastbatchError
from diagnostics.importers import files
from diagnostics.model import Collection, Frame, Process, Thread
from diagnostics.recorder import Recorder, RecordingError, decode
from diagnostics.stacks.tools import Unreadable, eustack, gdb, pyspy
from diagnostics.transport import answers

LIMIT = 2.0
OURS = (LastbatchError, RecordingError, Unreadable)

GDB = b'Thread 2 (Thread 0x7f2d976146c0 (LWP 4712) "loader"):\n#0  0x00007f2d98eed545 in a::b(int) (x=...) at f.c:48\n'
EU_STACK = b"PID 4711 - process\nTID 4711:\n#0  0x00007f2d98ea3f16 futex_wait - /usr/lib/libc.so.6\n"
PY_SPY = (
    b'[{"os_thread_id": 1, "thread_name": "m", "owns_gil": true, '
    b'"frames": [{"name": "f", "filename": "a", "line": 1}]}]'
)
DUMP = b'Process 12: python train.py\nPython v3.11.7\n\nThread 12 (idle): "MainThread"\n    wait (threading.py:5)\n'
AGENT = (
    b'{"about": {"host": "h"}}\n{"evidence": {"pid": 7, "samples": [{"at": 1.0, "threads": []}], "command": ["a"]}}\n'
    b'{"beside": {"devices": [{"index": 0, "pids": [7]}], "kernel_log": ["[1.0] Xid"], "left_out": []}}\n'
    b'{"stacks": {"pid": 7, "attempts": [{"collector": "py-spy", "ok": true, "seconds": 0.1}], '
    b'"outputs": {"py-spy": {"text": "[]"}}}}\n{"done": true}\n'
)
SHELL = (
    b"@@lastbatch no-python\n@@lastbatch hostname\nh\n@@lastbatch second/7/cmdline\npython\n@@lastbatch gdb 7\n" + GDB
)
HOSTILE = (
    b"../../etc/passwd",
    b"\x00",
    b"\xff\xff\xff\xff",
    b"9" * 400,
    b"[" * 2000,
    b"\xed\xa0\x80",
    b"%s%n",
    b'{"a":' * 500,
)


class Fuzzer:
    """Good inputs, and what reads each kind."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._bundle, self._out = home / "in" / "b.tar.zst", home / "in" / "out"
        self._dump = home / "in" / "dump.txt"
        self._bundle.parent.mkdir()
        frames = (Frame("f", "a.py", 1), Frame("g", "lib.so", native=True))
        process = Process("worker:0", 1, "h", threads=(Thread(1, frames=frames),))
        bundle.write(
            self._bundle, Collection(collected_at=1.0, seconds=1.0, processes=(process,)), {"ranks/log": "text"}
        )
        recorder = Recorder(
            str(home / "in" / "r.lbrec"), rank="worker:0", runtime="x", expected=["worker:0"], capacity=64
        )
        for index in range(20):
            with recorder.step(index):
                pass
        recording = (home / "in" / "r.lbrec").read_bytes()
        reports = Path(__file__).parent.parent / "tests" / "data" / "dumps"
        files_of_reports = (path for path in sorted(reports.glob("*/*.*")) if path.suffix != ".json")
        logs = {path.parent.name: path.read_bytes()[:6000] for path in files_of_reports}
        self.kinds: dict[str, tuple[bytes, Callable[[bytes], object]]] = {
            "bundle": (self._bundle.read_bytes(), self._read_bundle),
            "recorder": (recording, decode),
            "gdb": (GDB, lambda data: gdb.parse(data.decode("utf-8", "replace"))),
            "eu-stack": (EU_STACK, lambda data: eustack.parse(data.decode("utf-8", "replace"))),
            "py-spy": (PY_SPY, pyspy.parse),
            "dump": (DUMP, self._read_dump),
            "agent": (AGENT, self._read_answer),
            "shell agent": (SHELL, self._read_answer),
            **{f"report {name}": (data, self._read_dump) for name, data in logs.items()},
        }

    def _read_bundle(self, data: bytes) -> None:
        self._bundle.write_bytes(data)
        read = bundle.read(self._bundle)
        for path in bundle.extract(read, self._out):
            path.unlink()

    def _read_dump(self, data: bytes) -> None:
        self._dump.write_bytes(data)
        files.read(self._dump)

    @staticmethod
    def _read_answer(data: bytes) -> None:
        answer = answers.decode(data)
        tuple(map(seen_of, answer.seen))
        for pid in answer.evidence:
            answers.with_stacks(answers.process_of(answer, pid, "", "h"), answer)

    def outside(self) -> list[str]:
        return sorted(str(path) for path in self.home.iterdir() if path.name != "in")


def damaged(good: bytes, draw: random.Random) -> bytes:
    data = bytearray(good)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(data) + 1)
        way = draw.randrange(5)
        if way == 0:
            del data[at:]
        elif way == 1 and data:
            data[min(at, len(data) - 1)] = draw.randrange(256)
        elif way == 2:
            data[at:at] = draw.choice(HOSTILE)
        elif way == 3:
            end = min(len(data), at + draw.randint(1, 64))
            data[at:end] = data[draw.randrange(len(data) + 1) :][: end - at]
        else:
            data[at : at + 8] = draw.randbytes(8)
    return bytes(data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    draw, came, slowest = random.Random(arguments.seed), Counter[str](), 0.0
    with tempfile.TemporaryDirectory(prefix="lastbatch-fuzz-") as home:
        fuzzer = Fuzzer(Path(home))
        names = list(fuzzer.kinds)
        for number in range(arguments.inputs):
            kind = names[number % len(names)]
            good, read = fuzzer.kinds[kind]
            data = damaged(good, draw)
            began = time.process_time()
            try:
                read(data)
                came[f"{kind}: read"] += 1
            except OURS:
                came[f"{kind}: refused"] += 1
            except Exception as error:
                came[f"{kind}: CRASH {type(error).__name__}: {error}"[:120]] += 1
            slowest = max(slowest, time.process_time() - began)
        outside = fuzzer.outside()
    crashes = sum(count for what, count in came.items() if "CRASH" in what)
    row = {
        "inputs": arguments.inputs,
        "crashes": crashes,
        "slowest_s": round(slowest, 3),
        "outside": outside,
        "came": dict(came),
    }
    print(msgspec.json.format(msgspec.json.encode(row), indent=2).decode())
    sys.exit(1 if crashes or outside or slowest > LIMIT else 0)


if __name__ == "__main__":
    main()
