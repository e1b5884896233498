"""What the stories share: the command line as a user calls it, and a real job that hangs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import pytest
from hypothesis import HealthCheck, settings

from diagnostics.analyze.progress import Limits, is_overdue
from diagnostics.collector.kernel import text_of
from diagnostics.errors import MissingError
from diagnostics.transport import flight
from repro import scenarios
from repro.cluster import Cluster, RankSpec
from repro.cluster.local import local_cluster
from repro.runtimes import Runtime, ensure
from repro.trial import recorder_of, wait_until_ready

if TYPE_CHECKING:
    import docker

# A busy machine draws inputs slowly, which says nothing of what is tested.
settings.register_profile(
    "busy", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=bool(os.environ.get("CI"))
)
settings.load_profile("busy")

# In the background of a script SIGINT is ignored, and every process that a test starts would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


FAST = Path(__file__).parent / "fast"
STARTS = frozenset({"os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "subprocess.Popen"})
_guarded = False


def _refuse_to_start(event: str, _: object) -> None:
    if _guarded and event in STARTS:
        raise AssertionError("tests/fast starts no process: a test that needs one belongs to tests/process")


sys.addaudithook(_refuse_to_start)


@pytest.fixture(autouse=True)
def fast_tests_start_no_process(request: pytest.FixtureRequest) -> Iterator[None]:
    """What is in tests/fast runs anywhere, within seconds."""
    global _guarded
    _guarded = FAST in request.path.parents
    yield
    _guarded = False


class Answer(NamedTuple):
    """What a call of the program came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


LASTBATCH = [sys.executable, "-m", "repro"]

STUCK = """
import threading
def waits_for_the_lock():
    lock = threading.Lock()
    with lock:
        print("stuck", flush=True)
        lock.acquire()
waits_for_the_lock()
"""
"""A program that says that it is stuck, and is."""


def called(home: Path, *words: object, **options: Any) -> Answer:
    """What `lastbatch WORDS` comes to in this directory."""
    done = subprocess.run(
        [*LASTBATCH, *map(str, words)],
        capture_output=True, text=True, cwd=home, stdin=subprocess.DEVNULL, check=False, **options,
    )  # fmt: skip
    return Answer(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def lastbatch(tmp_path: Path) -> Callable[..., Answer]:
    """Call `lastbatch` as a user does, in an empty directory."""
    return partial(called, tmp_path)


AT_ONCE = 2
"""Calls of a module that run at the same time: most of a trial is waiting."""


Calls = Callable[[str, Sequence[object]], Future[Answer]]


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Calls]:
    """Call `lastbatch` before anybody asks for the answer, `AT_ONCE` at a time."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield lambda name, words: pool.submit(called, tmp_path_factory.mktemp(name), *words)
        pool.shutdown(cancel_futures=True)


def chosen(request: pytest.FixtureRequest, test: str) -> list[Any]:
    """The arguments of a test of this module, each time that it is going to run."""
    items = [item for item in request.session.items if item.path == request.path and isinstance(item, pytest.Function)]
    return [item.callspec.params for item in items if item.originalname == test]


class Ran(NamedTuple):
    """What a pytest session of its own came to."""

    code: int
    text: str
    bundles: tuple[Path, ...]


@pytest.fixture
def session_of(tmp_path: Path) -> Callable[..., Ran]:
    """pytest on a file of its own, whose processes can be told from all others afterwards."""
    mark = f"LASTBATCH_TEST_{uuid.uuid4().hex}"

    def call(text: str, *options: str) -> Ran:
        (tmp_path / "test_it.py").write_text(text, "utf-8")
        argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q"]
        (tmp_path / "pytest.ini").write_text("[pytest]\n", "utf-8")
        done = subprocess.run(
            [*argv, *options], cwd=tmp_path, env={**os.environ, mark: "1", "PYTHONPATH": str(Path.cwd())},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False,
        )  # fmt: skip
        left = [pid for pid in os.listdir("/proc") if pid.isdigit() and mark in text_of(f"/proc/{pid}/environ")]
        left = [pid for pid in left if "pytest_plugin.guard" not in text_of(f"/proc/{pid}/cmdline")]
        assert not left, [text_of(f"/proc/{pid}/cmdline") for pid in left]
        return Ran(done.returncode, done.stdout, tuple(sorted((tmp_path / ".lastbatch").glob("*.tar.zst"))))

    return call


@pytest.fixture(scope="session")
def runtime() -> Callable[[str], Runtime]:
    """A real framework, made where it is not there yet. CI must have them all; elsewhere a lack skips the test."""

    def get(name: str) -> Runtime:
        try:
            return ensure(name)
        except MissingError as error:
            lacking(error)

    return get


def lacking(error: MissingError) -> NoReturn:
    """This machine lacks something: fatal in CI, elsewhere the test is skipped with the reason."""
    if os.environ.get("CI"):
        raise error
    pytest.skip(str(error))


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """A Docker engine."""
    from repro.cluster.engine import connect

    try:
        client = connect()
    except MissingError as error:
        lacking(error)
    yield client
    client.close()


@pytest.fixture(scope="session")
def image(engine: docker.DockerClient) -> Callable[[str], str]:
    """The image of a runtime, built where it is not there yet."""
    from repro.cluster import images  # the fast tier does without Docker's SDK

    def get(name: str) -> str:
        try:
            return images.ensure_image(engine, name)
        except MissingError as error:
            lacking(error)

    return get


def wait_for(condition: Callable[[], Any], seconds: float = 120.0) -> Any:
    """The condition's value as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not so after {seconds:.0f} s: {condition}"
        time.sleep(0.05)
    return value


@pytest.fixture(scope="session")
def stuck_job(runtime: Callable[[str], Runtime], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A real TensorFlow 1.12 job of one worker and four servers that hangs at the end of an epoch."""
    story = scenarios.find("last-batch")
    settings = story.resolve({"epoch_ends": "100000"})
    ranks = story.ranks(settings)
    specs = [RankSpec(rank, story.program, "dataset", settings) for rank in ranks]
    home = tmp_path_factory.mktemp("stuck")
    with local_cluster(runtime("tf1.12"), specs, home) as cluster:
        wait_until_ready(cluster)
        worker = next(member for member in cluster.members if member.rank == "worker:0")

        def hangs() -> bool:
            recording = flight.load(recorder_of(worker))
            return recording is not None and is_overdue(recording, Limits())

        wait_for(hangs, 300)
        yield cluster


@pytest.fixture(scope="session")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """Run these jobs of `tests/data/jobs`, attach to each, and compare with what is known of it: a row a job."""

    def run(*names: str) -> dict[str, Any]:
        out = tmp_path_factory.mktemp("strangers") / "rows.json"
        bench = Path(__file__).parent.parent / "bench" / "strangers.py"
        subprocess.run([sys.executable, bench, "--together", "--only", *names, "--json", out], check=True, timeout=600)
        rows = {row["job"]: row for row in json.loads(out.read_text())}
        assert set(rows) == set(names)
        return rows

    return run
