"""The recorder across processes: read from outside while its process runs, after it was killed, over a fork.

Every test runs a small program under the oldest and the newest interpreter that this machine has.
"""

import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import time

import pytest
from conftest import wait_for

from diagnostics.recorder import EventKind, Recording, open_spans, read, steps

RECORDER = pathlib.Path(__file__).resolve().parents[2] / "diagnostics" / "recorder"


def interpreters() -> dict[str, str]:
    """CPython releases on PATH and under pyenv, by version."""
    root = pathlib.Path(os.environ.get("PYENV_ROOT", pathlib.Path.home() / ".pyenv"))
    found: dict[str, str] = {}
    for minor in range(6, 15):
        for path in [*root.glob(f"versions/3.{minor}.*/bin/python"), shutil.which(f"python3.{minor}")]:
            if path:
                found.setdefault(f"3.{minor}", str(path))
    return found


def wanted() -> list[object]:
    found = interpreters()
    newest = max(found, key=lambda version: int(version[2:]), default=f"3.{sys.version_info[1]}")
    found.setdefault(newest, sys.executable)
    old = pytest.param(
        found.get("3.6", ""),
        id="3.6",
        marks=() if "3.6" in found else pytest.mark.skip(reason="no CPython 3.6"),
    )
    return [old, pytest.param(found[newest], id=newest)]


both = pytest.mark.parametrize("python", wanted())

BEGIN = """
import os, sys
sys.path.insert(0, {home!r})
from flight import Recorder
path, ready = sys.argv[1], int(sys.argv[2])
"""


class Job:
    """A program that runs until killed; it writes a byte into a pipe when it is ready."""

    def __init__(
        self, python: str, home: pathlib.Path, program: str, environ: dict[str, str] | None = None
    ) -> None:
        # The folder is copied under another name, as it would be into a job.
        if not (home / "flight").exists():
            shutil.copytree(RECORDER, home / "flight", ignore=shutil.ignore_patterns("__pycache__"))
        self.path = str(home / "worker.lbrec")
        self._ready, write = os.pipe()
        self.process = subprocess.Popen(
            [python, "-c", BEGIN.format(home=str(home)) + program, self.path, str(write)],
            pass_fds=[write],
            env={**os.environ, **(environ or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.close(write)

    def wait_ready(self) -> None:
        if not os.read(self._ready, 1):
            raise AssertionError(self.process.communicate()[1])

    def finish(self) -> str:
        out, error = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, error
        return out

    def __enter__(self) -> "Job":
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        os.close(self._ready)


FLAT_OUT = """
rec = Recorder(path, "worker:0", "plain", capacity=256)
rec.epoch_begin(0)
rec.step_begin(); rec.step_end(1)
os.write(ready, b"r")
while True:
    for _ in rec.batches([[1, 2]] * 50):
        pass
    with rec.barrier("all"):
        rec.tick()
"""


def check_sound(recording: Recording, killed: bool) -> None:
    assert recording.torn <= 1 and recording.lost <= (1 if killed else 256)
    assert recording.damaged <= 1
    seqs = [event.seq for event in recording.events]
    assert seqs == sorted(set(seqs))
    assert recording.totals.steps_begun - recording.totals.steps_ended in (0, 1)
    for step in steps(recording):
        assert step.end is None or 0 <= step.end - step.begin < 60


@both
def test_a_recording_is_read_while_its_process_writes_as_fast_as_it_can(
    python: str, tmp_path: pathlib.Path
) -> None:
    # GIVEN a process that records without a pause, over a ring that wraps many times
    with Job(python, tmp_path, FLAT_OUT) as job:
        job.wait_ready()
        # WHEN it is read from outside, again and again
        seen = [read(job.path) for _ in range(30)]
        # THEN it goes on, and what was read is sound
        assert job.process.poll() is None
        wait_for(lambda: read(job.path).totals.events > seen[0].totals.events)
        assert seen[0].header.pid == job.process.pid
        for recording in seen:
            check_sound(recording, killed=False)


@both
def test_after_sigkill_at_any_moment_the_recording_is_there(python: str, tmp_path: pathlib.Path) -> None:
    for _ in range(5):
        # GIVEN a process that records without a pause
        with Job(python, tmp_path, FLAT_OUT) as job:
            job.wait_ready()
            until = read(job.path).totals.events + random.randrange(2000)
            while read(job.path).totals.events < until:
                pass
            # WHEN it is killed
            job.process.kill()
            job.process.wait()
        # THEN at most the record in flight is torn, and there is no exit event
        recording = read(job.path)
        check_sound(recording, killed=True)
        assert recording.totals.events >= until
        assert all(event.kind != EventKind.EXIT for event in recording.events)


HANG = """
import threading
rec = Recorder(path, "worker:0")
rec.epoch_begin(2)
for _ in rec.batches([[1, 2, 3]]): pass
rec.step_begin()
os.write(ready, b"r")
lock = threading.Lock()
lock.acquire()
lock.acquire()
"""


@both
def test_a_hanging_process_shows_where_it_hangs_and_since_when(python: str, tmp_path: pathlib.Path) -> None:
    with Job(python, tmp_path, HANG) as job:
        job.wait_ready()
        recording = read(job.path)
        epoch, step = open_spans(recording)
        assert (epoch.kind, step.kind) == (EventKind.EPOCH_BEGIN, EventKind.STEP_BEGIN)
        assert 0 <= time.monotonic() - step.since < 60
        assert step.thread == job.process.pid  # The main thread's kernel id.


FORK = """
rec = Recorder(path, "worker:0")
rec.step_begin()
child = os.fork()
if child == 0:
    rec.rows(666); rec.step_end(666); rec.step_begin(666); rec.barrier_begin("child"); rec.error("child: 666")
    rec.exit(6)
    mine = Recorder(path + ".child", "worker:0")
    mine.step_begin(1)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
rec.step_end(5)
"""


@both
def test_a_forked_child_writes_nothing_into_its_parents_ring(python: str, tmp_path: pathlib.Path) -> None:
    with Job(python, tmp_path, FORK) as job:
        job.finish()
    recording = read(job.path)
    assert [event.kind.name for event in recording.events] == ["STEP_BEGIN", "STEP_END", "EXIT"]
    assert recording.error is None and recording.damaged == 0
    child = read(job.path + ".child")  # It may record on its own.
    assert child.header.pid != recording.header.pid and child.totals.steps_begun == 1


FORK_WITH_THREADS = """
import threading
rec = Recorder(path, "worker:0")
stop = []
def work():
    while not stop:
        with rec.barrier("all"):
            rec.step_begin(); rec.step_end()
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads: thread.start()
for _ in range(20):
    child = os.fork()
    if child == 0:
        for _ in range(10):
            rec.step_begin(); rec.barrier_begin("x"); rec.step_end()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
stop.append(1)
for thread in threads: thread.join()
"""


@both
@pytest.mark.filterwarnings("ignore")
def test_a_fork_while_threads_record_never_blocks_the_child(python: str, tmp_path: pathlib.Path) -> None:
    with Job(python, tmp_path, FORK_WITH_THREADS) as job:
        job.finish()
    assert read(job.path).torn == 0


SECOND = """
import subprocess
rec = Recorder.from_env()
rec.step_begin()
if ready:
    # What a spawned input worker does: it runs the job's script again, with the same environment.
    code = "from flight import Recorder; rec = Recorder.from_env(); rec.rows(1); print(rec.path)"
    out = subprocess.check_output([sys.executable, "-c", code], cwd=sys.path[0])
    sys.stdout.write(out.decode())
"""


@both
def test_a_second_process_with_the_same_environment_does_not_oust_the_first(
    python: str, tmp_path: pathlib.Path
) -> None:
    environ = {"LASTBATCH_RECORDER": str(tmp_path / "worker.lbrec"), "LASTBATCH_RANK": "worker:3"}
    with Job(python, tmp_path, SECOND, environ) as job:
        other = job.finish().strip()
    first, second = read(job.path), read(other)
    assert re.fullmatch(re.escape(job.path) + r"\.\d+", other)
    assert first.totals.steps_begun == 1 and second.totals.steps_begun == 0
    assert first.header.rank == second.header.rank == "worker:3"


EXITS = """
rec = Recorder(path, "worker:0")
os.write(ready, b"r")
raise SystemExit(3)
"""


@both
def test_the_interpreters_end_is_recorded(python: str, tmp_path: pathlib.Path) -> None:
    with Job(python, tmp_path, EXITS) as job:
        job.process.communicate(timeout=60)
    (event,) = read(job.path).events
    assert (event.kind, event.value) == (EventKind.EXIT, -1)


SIGNALS = """
import signal, time
rec = Recorder(path, "worker:0", capacity=1024)
signal.signal(signal.SIGALRM, lambda *_: (rec.barrier_begin("alarm"), rec.tick(), rec.barrier_end("alarm")))
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
end = time.monotonic() + 0.5
while time.monotonic() < end:
    with rec.barrier("all"):
        rec.step_begin(); rec.step_end()
signal.setitimer(signal.ITIMER_REAL, 0)
"""


@both
def test_a_signal_handler_may_record(python: str, tmp_path: pathlib.Path) -> None:
    with Job(python, tmp_path, SIGNALS) as job:
        job.finish()
    recording = read(job.path)
    assert recording.torn == recording.damaged == 0
    assert open_spans(recording) == ()


@both
def test_the_folder_alone_prints_a_recording(python: str, tmp_path: pathlib.Path) -> None:
    with Job(python, tmp_path, FORK) as job:
        job.finish()
    out = subprocess.check_output([python, "-m", "flight", "--json", job.path], cwd=str(tmp_path), timeout=60)
    assert json.loads(out)["totals"]["steps_ended"] == 1
