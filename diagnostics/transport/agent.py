"""The collector that travels: the standard library, CPython 3.6 and later, nothing written to disk.

Run as `python3 -` on standard input, behind the modules that it imports, and followed by a call of `main`. Answers with
one JSON document of raw evidence; whoever sent it says what it means. Tools that come along (py-spy, libdw) live in
anonymous memory (man 2 memfd_create) and are gone with this process.
"""

import base64
import ctypes
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import types
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict, List, Set, Tuple

from diagnostics.collector.kernel import stat_fields, text_of
from diagnostics.collector.sources.blocking_calls import look_at
from diagnostics.transport.agent_host import (
    command_of,
    frameworks_in,
    log_of,
    look,
    mapped_files,
    recorder_of,
    scan,
    sockets_of,
    state_of,
    tail,
    tasks_of,
)
from diagnostics.transport.travel import module_of

LONGEST_STOP = 2.0
"""Seconds that a target may stand for Python's frames."""


def in_memory(name: str, data: bytes) -> str:
    """The path of an anonymous file with this content."""
    libc = ctypes.CDLL(None, use_errno=True)
    handle = libc.syscall(319, name.encode(), 0)  # memfd_create on x86-64; CPython has it from 3.8
    if handle < 0:
        raise OSError(ctypes.get_errno(), "memfd_create")
    with os.fdopen(os.dup(handle), "wb") as file:
        file.write(data)
    os.set_inheritable(handle, True)
    return "/proc/self/fd/%d" % handle


def unpack(cargo: Dict[str, str]) -> Dict[str, bytes]:
    return {name: zlib.decompress(base64.b64decode(data)) for name, data in cargo.items()}


def load_unwinder(cargo: Dict[str, bytes]) -> Any:
    """The package `unwind` from the texts of its modules; None where it cannot work here."""
    names = [name for name in ("stop", "libdw", "symbols", "worker") if "unwind/" + name in cargo]
    if len(names) < 4:
        return None
    package = types.ModuleType("unwind")
    package.__path__ = []
    sys.modules["unwind"] = package
    try:
        for name in names:
            setattr(package, name, module_of("unwind." + name, cargo["unwind/" + name]))
        libraries = [in_memory(name, cargo[name]) for name in sorted(cargo) if name.startswith("lib")]
        return sys.modules["unwind.worker"].Unwinder([libraries, ["libdw.so.1"]])
    except Exception as error:
        return str(error) or type(error).__name__


def run_tool(argv: List[str], budget: float) -> Dict[str, Any]:
    began = time.monotonic()
    try:
        tool = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, close_fds=False
        )
    except OSError as error:
        return {"why_not": "%s: %s" % (argv[0], error.strerror)}
    try:
        out, err = tool.communicate(timeout=max(budget, 0.1))
    except subprocess.TimeoutExpired:
        tool.kill()
        tool.communicate()
        return {"why_not": "did not end within %.0f s" % budget, "seconds": time.monotonic() - began}
    words = err.decode("utf-8", "replace").strip().splitlines()
    failed = (words[-1] if words else "ended with %d" % tool.returncode) if tool.returncode else ""
    return {"text": out.decode("utf-8", "replace"), "why_not": failed, "seconds": time.monotonic() - began}


def blocked_threads(pid: int) -> Set[Tuple[int, str]]:
    """Threads that no tracer could stop, each with its context switches: with the same number it is the same wait."""
    found = set()
    for tid in tasks_of(pid):
        home = "/proc/%d/task/%d/" % (pid, tid)
        state = stat_fields(home + "stat")[0]
        # A thread that FUSE does not answer sleeps in S, and goes on waiting in D when it is interrupted.
        if state == "D" or (state == "S" and text_of(home + "wchan") == "request_wait_answer"):
            found.add((tid, "".join(re.findall(r"^voluntary_ctxt_switches:.*", text_of(home + "status"), re.M))))
    return found


def why_untouchable(pid: int) -> str:
    blocked = blocked_threads(pid)
    if blocked:
        time.sleep(0.05)
        blocked &= blocked_threads(pid)
    state = state_of(pid)
    if not state:
        return "there is no such process"
    if state in ("Z", "X"):
        return "has ended and waits for its parent to notice (zombie)"
    if blocked:
        return "in uninterruptible sleep (D): a tracer would wait with it, so it is never ptraced"
    if state == "t":
        return "stopped by another debugger (t): detach that first"
    return ""


class Tools(object):
    """The rungs as they are here. Each gives `{"text" or "threads", "why_not", "seconds", "pause"}`.

    `wanted` are those to try, none for all; after `until` (monotonic) none is begun.
    """

    def __init__(self, cargo: Dict[str, bytes], wanted: List[str], budget: float, until: float) -> None:
        self._wanted, self._budget, self._until = wanted, budget, until
        self.unwinder = load_unwinder(cargo)
        try:
            self.spy = in_memory("py-spy", cargo["py-spy"]) if "py-spy" in cargo else "py-spy"
        except OSError:
            self.spy = "py-spy"

    def budget(self) -> float:
        return max(0.1, min(self._budget, self._until - time.monotonic()))

    def why_skip(self, name: str) -> str:
        if self._wanted and name not in self._wanted:
            return "not asked for"
        return "" if time.monotonic() < self._until else "no time was left for it before the deadline"

    def native(self, pid: int) -> Dict[str, Any]:
        """What shows native frames; one process after the other, since libdw is one for all."""
        reason = why_untouchable(pid)
        was_stopped = state_of(pid) == "T"
        if reason:
            return {"unwind": {"why_not": reason}}
        skip = self.why_skip("unwind")
        found = {"unwind": {"why_not": skip} if skip else self.unwind(pid)}
        if found["unwind"].get("why_not") and not was_stopped and not self.why_skip("gdb"):
            found["gdb"] = run_tool(
                ["gdb", "-nx", "-batch", "-iex", "set auto-load no", "-p", str(pid), "-ex", "thread apply all bt"],
                self.budget(),
            )
            if state_of(pid) == "T":
                os.kill(pid, signal.SIGCONT)  # a gdb that was killed while it attached
        return found

    def py_spy(self, pid: int) -> Dict[str, Any]:
        """Without stopping the target, where two looks find the same or no tracer may touch it."""
        skip = self.why_skip("py-spy")
        if skip:
            return {"why_not": skip}
        still = bool(why_untouchable(pid)) or state_of(pid) == "T"
        argv = [self.spy, "dump", "--json", "--pid", str(pid)]
        first = run_tool([*argv, "--nonblocking"], self.budget())
        if still or not first.get("text"):
            return dict(first, pause=0.0)
        second = run_tool([*argv, "--nonblocking"], self.budget())
        if first["text"] == second.get("text"):
            return dict(first, pause=0.0)
        stopped = run_tool(argv, min(self.budget(), LONGEST_STOP))
        if state_of(pid) == "T":
            os.kill(pid, signal.SIGCONT)  # a py-spy that was killed while it attached
        return stopped if stopped.get("text") else dict(first, pause=0.0)

    def unwind(self, pid: int) -> Dict[str, Any]:
        if self.unwinder is None or isinstance(self.unwinder, str):
            return {"why_not": self.unwinder or "unwinds x86-64 only"}
        began = time.monotonic()
        try:
            return dict(self.unwinder.read(pid), seconds=time.monotonic() - began)
        except Exception as error:
            return {"why_not": str(error) or type(error).__name__}


def collect(order: Dict[str, Any], cargo: Dict[str, bytes]) -> List[Dict[str, Any]]:
    began = time.monotonic()
    pids, logs = order["pids"], {pid: log_of(pid) for pid in order["pids"]}
    links = sockets_of(pids)
    first = {pid: look(pid, links[pid], logs[pid]) for pid in pids}
    time.sleep(order["gap"])
    links = sockets_of(pids)
    second = {pid: look(pid, links[pid], logs[pid]) for pid in pids}
    ends = {inode: pair for pid in pids for inode, pair in links[pid]["ends"].items()}
    sleeps = look_at(pids, ends)
    evidence = []
    for pid in pids:
        mapped = mapped_files(pid)
        evidence.append({
            "pid": pid, "samples": [first[pid], second[pid]], "command": command_of(pid), "mapped": mapped[:4000],
            "connections": links[pid]["connections"], "listens": links[pid]["listens"], "log_tail": tail(logs[pid]),
            "recorder": recorder_of(mapped_files(pid, shared=True), base64.b64decode(order["magic"])),
            "read_at": time.monotonic(),
            "frameworks": frameworks_in(mapped), "sleeps": [dict(row._asdict()) for row in sleeps[pid]],
        })  # fmt: skip
    # What has been seen until then is to get home before the connection is cut.
    tools = Tools(cargo, order["rungs"], order["budget"], began + 0.7 * order["deadline"])
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        for item, spied in zip(evidence, list(pool.map(tools.py_spy, pids))):
            item["rungs"] = dict(tools.native(item["pid"]), **{"py-spy": spied})
            item["state_after"] = state_of(item["pid"])
    return evidence


def main(order: Dict[str, Any], cargo: Dict[str, str]) -> None:
    # Nobody is left behind here if the connection is cut.
    signal.alarm(int(order["deadline"]) + 5)
    answer: Dict[str, Any] = {"host": socket.gethostname(), "machine": os.uname().machine, "kernel": os.uname().release}
    if order["do"] == "scan":
        answer["seen"] = scan(order["keys"])
    else:
        answer["processes"] = collect(order, unpack(cargo))
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
