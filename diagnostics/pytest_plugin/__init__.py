"""pytest plugin: a test that exceeds its timeout says why it hangs, with evidence of its whole process tree.

It comes with the package and needs no configuration. Where pytest-timeout gives a test its timeout, that one is used;
without it `--hang-timeout` or the ini option of that name does. Nothing is killed before the evidence is on disk.

A guard, a process of its own, waits for the timeout, since a test that hangs may hold the interpreter lock. It looks at
pytest and everything below it, writes the bundle, and signals. The test then fails with the answer; where it cannot
(its main thread is in native code), the guard prints the answer and ends the tree. The guard also stays behind at the
end of the session, for threads and children that keep pytest alive.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

SIGNAL = signal.SIGRTMAX - 3
"""Sent by the guard when the evidence is there. No framework that we know of uses a real-time signal this high."""

_SET_PTRACER = 0x59616D61  # man 2 prctl: where Yama restricts ptrace to descendants, the guard may still look

_guard_key = pytest.StashKey["Guard"]()


class Guard:
    """The process that waits for the timeout. Started when the first timeout is set."""

    def __init__(self, directory: Path, grace: float) -> None:
        self._directory, self._grace = directory, grace
        self._answer = Path(tempfile.mkdtemp(prefix="lastbatch-guard-")) / "answer"
        self._pipe: IO[bytes] | None = None
        self._tried = False
        self._screen = os.dup(2)  # before pytest captures what a test prints
        self.armed = ""

    def arm(self, name: str, seconds: float) -> bool:
        """From now on `name` may take this long. False: there is no guard, so that others may do what they can."""
        if self._pipe is None and not self._tried:
            self._tried = True
            self._pipe = self._start()
        if threading.current_thread() is threading.main_thread():
            signal.signal(SIGNAL, self._on_signal)
        self.armed = name if self._tell(arm=name, seconds=seconds) else ""
        return bool(self.armed)

    def disarm(self) -> None:
        if self.armed:
            self._tell(disarm=True)
        self.armed = ""

    def leave(self, seconds: float) -> None:
        """The session is over: pytest may take this long to end."""
        self._tell(arm="the end of the session", seconds=seconds, last=True)

    def _on_signal(self, *_: object) -> None:
        if not self.armed:
            return
        name, self.armed = self.armed, ""
        said = json.loads(self._answer.read_text("utf-8"))
        self._tell(disarm=True)
        raise HangFailure(name, said["text"], said["bundle"])

    def _tell(self, **message: object) -> bool:
        """Whether the guard is there to hear it."""
        if self._pipe is None:
            return False
        try:
            self._pipe.write(json.dumps(message).encode() + b"\n")
        except OSError:
            self._pipe = None
        return self._pipe is not None

    def _start(self) -> IO[bytes] | None:
        """As a child of nobody here: what looks at a job leaves its own ancestors out."""
        reads, writes = os.pipe()
        order = {
            "pid": os.getpid(), "directory": str(self._directory), "answer": str(self._answer), "signal": SIGNAL,
            "grace": self._grace,
        }  # fmt: skip
        launcher = subprocess.run(
            [sys.executable, "-c", _LAUNCH, json.dumps(order)],
            stdin=reads, stdout=subprocess.PIPE, stderr=self._screen, check=False,
        )  # fmt: skip
        os.close(reads)
        if not launcher.stdout.strip().isdigit():
            os.close(writes)
            return None
        ctypes.CDLL(None).prctl(_SET_PTRACER, int(launcher.stdout), 0, 0, 0)
        return os.fdopen(writes, "wb", buffering=0)


_LAUNCH = r"""
import subprocess, sys
argv = [sys.executable, "-m", "diagnostics.pytest_plugin.guard", sys.argv[1]]
guard = subprocess.Popen(argv, stdout=subprocess.PIPE, start_new_session=True)
if guard.stdout.readline() == b"ready\n":
    print(guard.pid)
"""


class HangFailure(BaseException):
    """Ends a test that hangs. Not an `Exception`: `except Exception` in the code under test must not swallow it."""

    def __init__(self, name: str, text: str, bundle: str) -> None:
        super().__init__(name)
        self.text, self.bundle = text, bundle


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("lastbatch", "tests that hang")
    said = "seconds that a test may take before it is looked at and failed; 0: no limit. pytest-timeout's goes first"
    group.addoption("--hang-timeout", type=float, default=None, metavar="SECONDS", help=said)
    parser.addini("hang_timeout", said, default="0")
    said = "where evidence of tests that hang is written (default: .lastbatch in the root directory)"
    group.addoption("--hang-dir", default=None, metavar="DIR", help=said)
    said = "seconds after the evidence in which a test must have failed before its processes are killed"
    group.addoption("--hang-grace", type=float, default=10.0, metavar="SECONDS", help=said)
    said = "seconds that pytest may take to end when all tests are done (default: the timeout of a test)"
    group.addoption("--hang-exit", type=float, default=None, metavar="SECONDS", help=said)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "hang_timeout(seconds): how long this test may take before it is looked at")
    if not sys.platform.startswith("linux") or _is_controller(config):
        return
    directory = Path(config.getoption("--hang-dir") or config.rootpath / ".lastbatch")
    config.stash[_guard_key] = Guard(directory, config.getoption("--hang-grace"))


def _is_controller(config: pytest.Config) -> bool:
    """Under xdist tests run in the workers, and each of those has its own guard."""
    return bool(config.getoption("numprocesses", None)) and not hasattr(config, "workerinput")


def _own_timeout(item: pytest.Item) -> float:
    marker = item.get_closest_marker("hang_timeout")
    if marker and marker.args:
        return float(marker.args[0])
    option = item.config.getoption("--hang-timeout")
    return float(option if option is not None else item.config.getini("hang_timeout") or 0)


_longest_key = pytest.StashKey[float]()


def _arm(item: pytest.Item, seconds: float) -> bool:
    guard = item.config.stash.get(_guard_key, None)
    if guard is None or seconds <= 0:
        return False
    item.config.stash[_longest_key] = max(seconds, item.config.stash.get(_longest_key, 0.0))
    return guard.arm(item.nodeid, seconds)


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> bool | None:
    """pytest-timeout gives the time; what happens when it is up is ours. A debugger at rest is left to its own rule."""
    from pytest_timeout import is_debugging  # type: ignore[import-untyped]

    if _guard_key not in item.config.stash or not settings.timeout or settings.timeout <= 0:
        return None
    if not settings.disable_debugger_detection and is_debugging():
        return None
    return _arm(item, settings.timeout) or None


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_timeout_cancel_timer(item: pytest.Item) -> bool | None:
    guard = item.config.stash.get(_guard_key, None)
    if guard is None or not guard.armed:
        return None
    guard.disarm()
    return True


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    ours = not item.config.pluginmanager.hasplugin("timeout")
    if ours:
        _arm(item, _own_timeout(item))
    try:
        return (yield)
    finally:
        guard = item.config.stash.get(_guard_key, None)
        if ours and guard:
            guard.disarm()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """The answer is what the failure shows; where the test stood is in it."""
    hang = call.excinfo.value if call.excinfo else None
    report: Any = yield
    if isinstance(hang, HangFailure):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} exceeded its timeout. What lastbatch found:\n\n{hang.text}"
        report.user_properties.append(("lastbatch_bundle", hang.bundle))
    return report  # type: ignore[no-any-return]


def pytest_unconfigure(config: pytest.Config) -> None:
    guard = config.stash.get(_guard_key, None)
    if guard and not hasattr(config, "workerinput"):  # a worker of xdist stays until all others are done
        patience = config.getoption("--hang-exit")
        guard.leave(patience if patience is not None else config.stash.get(_longest_key, 60.0))
