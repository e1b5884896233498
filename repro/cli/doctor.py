"""What works on this machine, and what to do about the rest."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
from rich.table import Table
from rich.text import Text

from diagnostics.cli.console import LACKING, OK, Json, command, page, print_json
from diagnostics.collector.sources import devices, kernels
from diagnostics.errors import MissingError
from diagnostics.frameworks.tensorflow1 import session, sets
from diagnostics.report.text import size
from diagnostics.transport.program import py_spy
from repro import runtimes
from repro.cluster import engine
from repro.runtimes import RuntimeState

REGISTRY = "registry-1.docker.io"


class Check(msgspec.Struct, frozen=True):
    """One thing that lastbatch can use. `needed` is false for what only some commands want."""

    name: str
    ok: bool
    found: str
    what_to_do: str = ""
    needed: bool = False


def _python() -> Check:
    return Check("this interpreter", True, f"Python {sys.version.split()[0]}", needed=True)


def _interpreters() -> Check:
    found = sorted(
        {i.version for i in runtimes.discover()}, key=lambda version: [int(part) for part in version.split(".")]
    )
    return Check("interpreters", bool(found), ", ".join(found) or "none", "Install CPython 3.6 for TensorFlow 1.12")


def _ptrace() -> Check:
    scope = Path("/proc/sys/kernel/yama/ptrace_scope")
    level = scope.read_text().strip() if scope.exists() else "0"
    allowed = os.geteuid() == 0 or level == "0"
    who = "root" if os.geteuid() == 0 else f"uid {os.geteuid()}"
    if level == "3":
        return Check("ptrace", False, "switched off (ptrace_scope 3)", "It stays off until the next boot")
    what = "Run as root, or: sudo sysctl kernel.yama.ptrace_scope=0; jobs that lastbatch starts can be read anyway"
    return Check("ptrace", allowed, f"{who}, yama ptrace_scope {level}", "" if allowed else what)


def _module(name: str) -> Check:
    there = importlib.util.find_spec(name) is not None
    return Check(name, there, "installed" if there else "not installed", "" if there else f"pip install {name}", True)


def _tool(name: str, path: str | None, why: str, get: str) -> Check:
    return Check(name, bool(path), path or "not installed", "" if path else f"{get} ({why})")


def _engine() -> Check:
    if importlib.util.find_spec("docker") is None:
        return Check("containers", False, "Docker's SDK is not installed", "pip install 'lastbatch[repro]'")
    try:
        client = engine.connect(patience=20)
    except MissingError as error:
        return Check("containers", False, error.message, f"{error.hint} (for --backend docker)")
    with contextlib.closing(client):
        return Check("containers", True, engine.described(client))


def _images() -> Check:
    """Which way to an image is open."""
    try:
        with socket.create_connection((REGISTRY, 443), timeout=2):
            return Check("image base", True, f"the registry {REGISTRY} can be reached")
    except OSError:
        pass
    if shutil.which("mmdebstrap"):
        return Check("image base", True, "no registry; from Debian packages, with an interpreter of this machine")
    return Check("image base", False, f"no way to {REGISTRY}", "apt-get install mmdebstrap (for --backend docker)")


def _clusters() -> Check:
    """Whose jobs can be named here: pods, allocations. YARN's are found without a tool."""
    kinds = {"kubectl": "k8s:", "squeue": "slurm:"}
    found = [f"{tool} ({kind})" for tool, kind in kinds.items() if shutil.which(tool)]
    lacks = [f"{tool} ({kind})" for tool, kind in kinds.items() if not shutil.which(tool)]
    words = "; no ".join(filter(None, (", ".join(found), ", ".join(lacks))))
    return Check("clusters", bool(found), words if found else f"no {words}", "Attach where one of them is installed")


def _uprobes() -> Check:
    places = [place for place in ("/sys/kernel/tracing", "/sys/kernel/debug/tracing") if os.path.isdir(place)]
    if places and os.geteuid() != 0:
        return Check("uprobes", False, places[0], "Needs root (for trace)")
    for place in places:
        if Path(place, "uprobe_events").exists():
            return Check("uprobes", True, place)
    return Check("uprobes", False, "tracefs is not mounted", "mount -t tracefs nodev /sys/kernel/tracing (for trace)")


def _symbols(states: Iterable[RuntimeState]) -> Check:
    """In which runtimes a trace finds its functions."""
    probe_set = sets.find("rendezvous")
    can, cannot = [], []
    for state in states:
        if state.state == "ready" and state.release.startswith("tf"):
            try:
                session.plan(probe_set, session.library_of(runtimes.ensure(state.name).python, probe_set))
                can.append(state.name)
            except MissingError:
                cannot.append(state.name)
    if not can and not cannot:
        todo = "lastbatch run last-batch makes one (for trace)"
        return Check("symbols to probe", False, "no TensorFlow is ready", todo)
    words = [f"in {', '.join(can)}" if can else "", f"not in {', '.join(cannot)}" if cannot else ""]
    what = "Trace a job on TensorFlow 1.4 to 1.15: others do not name these functions, and the race is closed from 2.3"
    return Check("symbols to probe", bool(can), "; ".join(filter(None, words)), "" if can else what)


def _cards() -> Check:
    with devices.Cards() as cards:
        found = cards.once()
        names = [f"{one['name']}{' (MIG)' if one['divided'] else ''}" for one in found]
        words = cards.why_not or ", ".join(names) or "none"
    if found and all(one["divided"] for one in found):
        return Check("GPUs (NVML)", True, f"{words}; use is not told of a card that is split into instances")
    what = "For jobs on GPUs: in a container, NVIDIA_DRIVER_CAPABILITIES with `utility`; on the machine, the driver"
    return Check("GPUs (NVML)", bool(found), words, "" if found else what)


def _mps() -> Check:
    """Whether clients share the cards through one server, whose use is then that of all of them."""
    pipes = Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY") or "/tmp/nvidia-mps")
    runs = os.path.exists(pipes / "control")
    return Check("GPUs shared by MPS", True, f"yes ({pipes}): use is that of all clients" if runs else "no")


def _kernel_log() -> Check:
    _, why_not = devices.kernel_lines(1)
    what = "Run as root or with CAP_SYSLOG (in Docker: --cap-add SYSLOG), or: sudo sysctl kernel.dmesg_restrict=0"
    return Check("kernel log", not why_not, why_not or "can be read (Xid lines of GPUs)", what if why_not else "")


def _cuda_gdb() -> Check:
    path = kernels.tool()
    what = "It comes with the CUDA toolkit (for attach --device: which kernels are on the card)"
    return Check("cuda-gdb", bool(path), path or "not installed", "" if path else what)


def checks(states: Iterable[RuntimeState]) -> tuple[Check, ...]:
    """Everything, in the order in which one would fix it. `states` are the runtimes'."""
    look: tuple[Callable[[], Check], ...] = (
        _python,
        _interpreters,
        _ptrace,
        lambda: _module("pystack"),
        lambda: _tool("py-spy", py_spy(), "Python stacks", "pip install py-spy"),
        lambda: _tool("gdb", shutil.which("gdb"), "native stacks where pystack cannot", "apt-get install gdb"),
        lambda: _tool("bpftrace", shutil.which("bpftrace"), "live proof of a race", "apt-get install bpftrace"),
        _cards,
        _mps,
        _kernel_log,
        _cuda_gdb,
        _uprobes,
        lambda: _symbols(states),
        _clusters,
        _engine,
        _images,
    )
    return tuple(check() for check in look)


@command
def doctor(as_json: Json = False) -> int:
    """Say what works on this machine, and what to do about the rest.

    Ends with 3 where something is missing that every command needs.

    Example: lastbatch doctor
    """
    states = runtimes.available()
    found = checks(states)
    lacking = any(check.needed and not check.ok for check in found)
    if as_json:
        print_json({"checks": found, "runtimes": states})
        return LACKING if lacking else OK
    table = Table(box=None, pad_edge=False, title="This machine", title_justify="left", title_style="bold")
    for column in ("", "what", "found", "what to do"):
        table.add_column(column, overflow="fold")
    for check in found:
        mark = Text("ok", "green") if check.ok else Text("no", "red" if check.needed else "yellow")
        table.add_row(mark, check.name, Text(check.found), Text("" if check.ok else check.what_to_do))
    page.print(table)
    page.print()
    table = Table(box=None, pad_edge=False, title="Runtimes", title_justify="left", title_style="bold")
    for column in ("name", "release", "interpreter", "state", "size", "what to do"):
        table.add_column(column, overflow="fold")
    for state in states:
        table.add_row(
            state.name, state.release, state.python_version, state.state,
            size(state.size) if state.size else "", Text(state.what_to_do),
        )  # fmt: skip
    page.print(table)
    return LACKING if lacking else OK
