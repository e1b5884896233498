"""Dumps that the real tools make of a real stuck process, whole and as they reach us: cut, coloured, quoted."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from conftest import Answer, wait_for
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnostics import importers, pipeline
from diagnostics.errors import EvidenceError
from diagnostics.importers.lines import lines_of
from diagnostics.importers.scan import scan
from diagnostics.model import Frame
from diagnostics.report.document import as_json

Call = Callable[..., Answer]
Dumps = dict[str, str]

DEADLOCK = """
import ctypes, faulthandler, signal, sys, threading
ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_ulong(-1), 0, 0, 0)
faulthandler.register(signal.SIGUSR1, all_threads=True)
accounts, journal, both = threading.Lock(), threading.Lock(), threading.Barrier(2)
def transfer():
    with accounts:
        both.wait()
        with journal: pass
def report():
    with journal:
        both.wait()
        with accounts: pass
threading.Thread(target=transfer, daemon=True).start()
print("ready", flush=True)
report()
"""


def tool(name: str) -> str:
    beside = os.path.join(sysconfig.get_path("scripts"), name)
    found = beside if os.path.exists(beside) else shutil.which(name)
    if found is None:
        if os.environ.get("CI"):
            raise RuntimeError(f"{name} is not installed")
        pytest.skip(f"{name} is not installed")
    return found


def said(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False).stdout


class Stuck(NamedTuple):
    """`live`: what attaching to the process says."""

    dumps: Dumps
    live: dict[str, Any]


@pytest.fixture(scope="module")
def dumps(stuck: Stuck) -> Dumps:
    return stuck.dumps


@pytest.fixture(scope="module")
def stuck(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stuck]:
    """What each tool writes of one process whose two threads wait for each other's locks."""
    home = tmp_path_factory.mktemp("deadlock")
    (home / "bank.py").write_text(DEADLOCK)
    with (
        open(home / "fault", "w+") as fault,
        subprocess.Popen([sys.executable, "bank.py"], cwd=home, stdout=subprocess.PIPE, stderr=fault) as process,
    ):
        try:
            assert process.stdout and process.stdout.readline()
            pid = str(process.pid)
            wait_for(lambda: said(tool("py-spy"), "dump", "-p", pid).count("(idle)") == 2, 30)
            made = {
                "py-spy": said(tool("py-spy"), "dump", "-p", pid),
                "py-spy json": said(tool("py-spy"), "dump", "--json", "-p", pid),
                "py-spy native": said(tool("py-spy"), "dump", "--native", "--locals", "-p", pid),
                "pystack": said(tool("pystack"), "remote", "--native-all", "--locals", pid),
                "gdb": said(tool("gdb"), "-batch", "-p", pid, "-ex", "thread apply all bt"),
                "eu-stack": said(tool("eu-stack"), "-p", pid),
                "eu-stack -m": said(tool("eu-stack"), "-m", "-s", "-p", pid),
            }
            found = pipeline.attach([process.pid])
            live = as_json(found.collection, found.diagnosis, None)
            process.send_signal(signal.SIGUSR1)
            wait_for(lambda: (home / "fault").read_text().count("File") >= 6, 30)
            made["faulthandler"] = (home / "fault").read_text()
            process.send_signal(signal.SIGINT)  # the main thread's acquire is interrupted
            wait_for(lambda: "KeyboardInterrupt" in (home / "fault").read_text(), 30)
            made["traceback"] = (home / "fault").read_text()[len(made["faulthandler"]) :]
            yield Stuck(made, live)
        finally:
            process.kill()


PYTHON = ("py-spy", "py-spy json", "py-spy native", "pystack", "faulthandler", "traceback")
NATIVE = ("py-spy native", "pystack", "gdb", "eu-stack", "eu-stack -m")


def functions(path: Path) -> set[str]:
    (process,) = importers.read(path).processes
    return {frame.function for thread in process.threads for frame in thread.frames}


def test_every_tools_dump_gives_its_stacks(dumps: Dumps, tmp_path: Path) -> None:
    for name, text in dumps.items():
        path = tmp_path / f"{name}.txt"
        path.write_text(text)
        seen = functions(path)
        assert name not in PYTHON or "report" in seen, (name, text)
        assert name in ("gdb", "eu-stack", "eu-stack -m", "traceback") or "transfer" in seen, (name, text)
        assert name not in NATIVE or "PyThread_acquire_lock_timed" in seen, (name, text)


def test_the_main_thread_comes_first(dumps: Dumps, tmp_path: Path) -> None:
    for name in ("py-spy", "py-spy json", "pystack", "faulthandler"):
        (tmp_path / name).write_text(dumps[name])
        (process,) = importers.read(tmp_path / name).processes
        assert any(frame.function == "report" for frame in process.threads[0].frames), name


def test_the_culprit_and_its_place_are_those_of_the_live_process(stuck: Stuck, lastbatch: Call, tmp_path: Path) -> None:
    """GIVEN a dump that has Python's frames, THEN the same process at the same line; from others the same process."""
    (live,) = stuck.live["culprits"]
    for name, text in stuck.dumps.items():
        path = tmp_path / "dump.txt"
        path.write_text(text)
        answer = lastbatch("diagnose", path, "--json").json
        (row,) = answer["ranks"]
        assert name in ("faulthandler", "traceback") or row["pid"] == live["pid"], name
        if name in PYTHON:
            place = [(one["position"]["function"], one["position"]["line"]) for one in (live, row)]
            assert place[0] == place[1], name
        if name in ("py-spy native", "pystack"):
            (culprit,) = answer["culprits"]
            assert culprit["pid"] == live["pid"] and culprit["position"]["waits_for"], name


def test_what_the_stacks_carry_is_said_and_no_more(lastbatch: Call, dumps: Dumps, tmp_path: Path) -> None:
    """GIVEN stacks that show the locks being waited for, THEN lock-order; without those, unknown and what to take."""
    for name, text in dumps.items():
        path = tmp_path / "dump.txt"
        path.write_text(text)
        answer = lastbatch("diagnose", path, "--json").json
        carried = name in ("py-spy native", "pystack")
        assert answer.get("verdict") == ("lock-order" if carried else "unknown"), (name, answer)
        assert carried or answer["next_evidence"], name


def test_two_tools_views_of_one_process_are_joined(lastbatch: Call, dumps: Dumps, tmp_path: Path) -> None:
    """GIVEN Python's frames from one file and native ones from another, THEN together they carry the cause."""
    (tmp_path / "spy.txt").write_text(dumps["py-spy"])
    (tmp_path / "bt.txt").write_text(dumps["gdb"])
    answer = lastbatch("diagnose", "spy.txt", "bt.txt", "--json").json
    assert len(answer["ranks"]) == 1 and answer["verdict"] == "lock-order", answer


WAYS: dict[str, Callable[[str], str]] = {
    "coloured": lambda line: f"\x1b[31m{line}\x1b[0m",
    "quoted": lambda line: f"> > {line}",
    "mpirun": lambda line: f"[1,3]<stdout>:{line}",
    "torchrun": lambda line: f"[rank3]: {line}",
    "kubectl": lambda line: f"[pod/job-worker-3/main] 2026-01-02T03:04:05.678901234Z {line}",
    "compose": lambda line: f"worker-3  | {line}",
    "srun": lambda line: f"3: {line}",
    "dos": lambda line: f"{line}\r",
}


@pytest.mark.parametrize("way", WAYS)
def test_what_was_put_before_the_lines_is_taken_off(way: str, dumps: Dumps, tmp_path: Path) -> None:
    for name in ("py-spy native", "pystack", "gdb", "eu-stack", "faulthandler"):
        path = tmp_path / "plain"
        path.write_text(dumps[name])
        (plain,) = importers.read(path).processes
        path.write_text("\n".join(map(WAYS[way], dumps[name].splitlines())))
        (dressed,) = importers.read(path).processes
        assert dressed.threads == plain.threads, name
        if way in ("mpirun", "torchrun", "kubectl", "compose", "srun"):
            assert dressed.rank == "worker:3", name


def test_several_ranks_in_one_log_are_told_apart(lastbatch: Call, dumps: Dumps, tmp_path: Path) -> None:
    lines = [f"[1,{rank}]<stderr>:{line}" for line in dumps["py-spy"].splitlines() for rank in (0, 1, 2)]
    (tmp_path / "log").write_text("\n".join(lines))
    answer = lastbatch("diagnose", "log", "--json").json
    assert [row["rank"] for row in answer["ranks"]] == ["worker:0", "worker:1", "worker:2"]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_dump_may_be_cut_anywhere(dumps: Dumps, data: st.DataObject) -> None:
    """THEN what is left is read, and no frame is made up."""
    name = data.draw(st.sampled_from(sorted(set(dumps) - {"py-spy json"})))
    text = dumps[name]
    begin = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(begin, len(text)))
    whole = {f.function for seen in scan(line.text for line in lines_of(text)).seen for f in frames_of(seen)}
    part = [f.function for seen in scan(line.text for line in lines_of(text[begin:end])).seen for f in frames_of(seen)]
    made_up = [function for function in part if function not in whole]
    assert len(made_up) <= 2, "only the first and the last line can be cut themselves"


def frames_of(seen: Any) -> list[Frame]:
    return [frame for takes in seen.takes.values() for opened in takes.values() for frame in opened.frames]


def test_dumps_of_several_tools_in_one_text(dumps: Dumps, tmp_path: Path) -> None:
    """GIVEN a mail with words, a py-spy dump, log lines and gdb's answer, THEN they are one process, merged."""
    path = tmp_path / "mail.txt"
    path.write_text(
        f"Hello,\nit hangs:\n\n{dumps['py-spy']}\nand\n2026-01-01 10:00:00.1: I loss 0.3\n{dumps['gdb']}\nBye (all)\n"
    )
    (process,) = importers.read(path).processes
    main = [frame.function for frame in process.threads[0].frames]
    assert "report" in main and main.index("report") < main.index("PyThread_acquire_lock_timed")


@pytest.mark.parametrize("junk", [b"", b"\x00" * 100, b"hello\n", b"[]", b"[1, 2]", b"{}", b"\x7fELF\x02", b"[" * 9999])
def test_what_is_nothing_known_is_said_in_one_line(lastbatch: Call, tmp_path: Path, junk: bytes) -> None:
    (tmp_path / "junk").write_bytes(junk)
    answer = lastbatch("diagnose", "junk")
    assert answer.code == 2 and answer.err.count("\n") == 1 and "Traceback" not in answer.err, answer.err


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_give_a_result_or_a_reason(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(data)
    with contextlib.suppress(EvidenceError):
        importers.read(path)
