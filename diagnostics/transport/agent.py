"""The collector that travels: one file, the standard library, CPython 3.6 and later, nothing written to disk.

Run as `python3 -` with this text on standard input, followed by a call of `main`. Answers with one JSON document of raw
evidence; whoever sent it says what it means. Tools that come along (py-spy, libdw) live in anonymous memory (man 2
memfd_create) and are gone with this process.
"""

import base64
import ctypes
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
import types
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict, Iterable, List, Optional, Set, Tuple

TICK = os.sysconf("SC_CLK_TCK")
MAX_RECORDER = 8 << 20
MAX_LOG = 64 << 10
LONGEST_STOP = 2.0
"""Seconds that a target may stand for Python's frames."""
STATES = (
    "", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT",
    "LAST_ACK", "LISTEN", "CLOSING",
)  # fmt: skip


def text_of(path: str, limit: int = 1 << 20) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(limit).decode("utf-8", "replace")
    except OSError:
        return ""


def stat_fields(path: str) -> List[str]:
    return text_of(path).rpartition(")")[2].split() or [""]


def state_of(pid: int) -> str:
    return stat_fields("/proc/%d/stat" % pid)[0]


def tasks_of(pid: int) -> List[int]:
    try:
        return sorted(int(name) for name in os.listdir("/proc/%d/task" % pid))
    except OSError:
        return []


def command_of(pid: int) -> List[str]:
    text = text_of("/proc/%d/cmdline" % pid)
    return text.rstrip("\0").split("\0") if text else []


def mapped_files(pid: int, shared: bool = False) -> List[str]:
    found: Dict[str, None] = {}  # in order
    for line in text_of("/proc/%d/maps" % pid, 16 << 20).splitlines():
        fields = line.split(None, 5)
        if len(fields) == 6 and fields[5].startswith("/") and (not shared or fields[1].startswith("rw-s")):
            found[fields[5]] = None
    return list(found)


def sample_thread(pid: int, tid: int) -> Optional[Dict[str, Any]]:
    home = "/proc/%d/task/%d/" % (pid, tid)
    fields = stat_fields(home + "stat")
    if len(fields) < 13:
        return None
    switches = dict(re.findall(r"^(\w+_ctxt_switches):\s*(\d+)", text_of(home + "status"), re.M))
    called, wchan = text_of(home + "syscall").split(), text_of(home + "wchan")
    return {
        "tid": tid,
        "name": text_of(home + "comm").rstrip("\n"),
        "state": fields[0],
        "cpu": (int(fields[11]) + int(fields[12])) / TICK,
        "voluntary": int(switches.get("voluntary_ctxt_switches", 0)),
        "involuntary": int(switches.get("nonvoluntary_ctxt_switches", 0)),
        "wchan": "" if wchan == "0" else wchan,
        "syscall": int(called[0]) if called and called[0].lstrip("-").isdigit() else -1,
    }


def look(pid: int, links: Dict[str, Any], log: str) -> Dict[str, Any]:
    threads = [sample for sample in (sample_thread(pid, tid) for tid in tasks_of(pid)) if sample]
    moved = sum(link["bytes_sent"] + link["bytes_received"] for link in links["connections"])
    try:
        size = os.stat(log).st_size if log else 0
    except OSError:
        size = 0
    return {"at": time.monotonic(), "threads": threads, "socket_bytes": moved, "log_bytes": size}


# Connections: sock_diag (man 7 sock_diag), struct tcp_info of linux/tcp.h


def ask_kernel(family: int) -> Iterable[bytes]:
    request = struct.pack("=BBBxI", family, socket.IPPROTO_TCP, 1 << 1, 0xFFFFFFFF) + bytes(48)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4) as kernel:
        kernel.settimeout(5)
        kernel.send(struct.pack("=IHHII", 16 + len(request), 20, 0x301, 1, 0) + request)
        while True:
            data = kernel.recv(1 << 18)
            while len(data) >= 16:
                length, kind = struct.unpack_from("=IH", data)
                if kind in (2, 3) or length < 16:
                    return
                yield data[16:length]
                data = data[(length + 3) & ~3 :]


def address_of(family: int, raw: bytes, port: int) -> str:
    host = socket.inet_ntop(family, raw[: 4 if family == socket.AF_INET else 16])
    if host.startswith("::ffff:"):
        host = host[7:]
    return ("[%s]:%d" if ":" in host else "%s:%d") % (host, port)


def connection_of(message: bytes) -> Tuple[int, Dict[str, Any]]:
    """(inode, connection) of one struct inet_diag_msg."""
    family, state = message[0], message[1]
    sport, dport = struct.unpack_from(">HH", message, 4)
    unread, _, _, inode = struct.unpack_from("=IIII", message, 56)
    info, at = b"", 72
    while at + 4 <= len(message):
        length, kind = struct.unpack_from("=HH", message, at)
        if kind == 2:
            info = message[at + 4 : at + length]
        at += max((length + 3) & ~3, 4)
    info = info.ljust(232, b"\0")
    sent_ago, received_ago = struct.unpack_from("=I", info, 44)[0], struct.unpack_from("=I", info, 52)[0]
    _, received = struct.unpack_from("=QQ", info, 120)
    sent = struct.unpack_from("=Q", info, 200)[0]
    return inode, {
        "local": address_of(family, message[8:24], sport),
        "remote": address_of(family, message[24:40], dport),
        "state": STATES[state] if state < len(STATES) else str(state),
        "last_sent": sent_ago / 1000 if sent else -1.0,
        "last_received": received_ago / 1000 if received else -1.0,
        "bytes_sent": sent,
        "bytes_received": received,
        "unread": unread,
        "unsent": struct.unpack_from("=I", info, 144)[0],
        "unacked": struct.unpack_from("=I", info, 24)[0],
        "retransmits": struct.unpack_from("=I", info, 100)[0],
    }


def inodes_of(pid: int) -> Set[int]:
    found = set()
    try:
        for name in os.listdir("/proc/%d/fd" % pid):
            try:
                target = os.readlink("/proc/%d/fd/%s" % (pid, name))
            except OSError:
                continue
            if target.startswith("socket:["):
                found.add(int(target[8:-1]))
    except OSError:
        pass
    return found


def sockets_of(pids: Iterable[int]) -> Dict[int, Dict[str, Any]]:
    """Of each process: connections, addresses that it listens on, and both ends of each socket by its inode."""
    owners: Dict[int, List[int]] = {}
    found: Dict[int, Dict[str, Any]] = {}
    for pid in pids:
        found[pid] = {"connections": [], "listens": [], "ends": {}}
        for inode in inodes_of(pid):
            owners.setdefault(inode, []).append(pid)
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            for message in ask_kernel(family):
                inode, link = connection_of(message)
                for pid in owners.get(inode, ()):
                    listens = link["state"] == "LISTEN"
                    found[pid]["listens" if listens else "connections"].append(link["local"] if listens else link)
                    found[pid]["ends"][inode] = (link["local"], "" if listens else link["remote"])
        except OSError:
            pass  # an old kernel, or not allowed: connections are missing, the rest is not
    return found


# What discovery needs


def scan(keys: Iterable[str]) -> List[Dict[str, Any]]:
    ours, pid = set(), os.getpid()
    while pid > 1:
        ours.add(pid)
        fields = stat_fields("/proc/%d/stat" % pid)
        pid = int(fields[1]) if len(fields) > 1 else 0
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) not in ours]
    commands = {pid: command for pid, command in ((pid, command_of(pid)) for pid in pids) if command}
    links = sockets_of(commands)
    return [seen(pid, command, links[pid], set(keys)) for pid, command in sorted(commands.items())]


def seen(pid: int, command: List[str], links: Dict[str, Any], keys: Set[str]) -> Dict[str, Any]:
    pairs = (item.partition("=") for item in text_of("/proc/%d/environ" % pid, 4 << 20).split("\0"))
    fields = stat_fields("/proc/%d/stat" % pid)
    try:
        uid = os.stat("/proc/%d" % pid).st_uid
    except OSError:
        uid = -1
    mapped = mapped_files(pid)
    return {
        "pid": pid,
        "parent": int(fields[1]) if len(fields) > 1 else 0,
        "uid": uid,
        "command": command,
        "environ": {name: value for name, _, value in pairs if name in keys},
        "cgroup": text_of("/proc/%d/cgroup" % pid, 4096),
        "frameworks": [path for path in mapped if re.search("/(tensorflow|torch|jaxlib)/", path)][:1],
        "listens": links["listens"],
        "links": [[link["local"], link["remote"]] for link in links["connections"] if link["state"] == "ESTABLISHED"],
    }


# Tools that came along


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


def module_of(name: str, text: bytes) -> Any:
    """One of our modules, from its text."""
    module = types.ModuleType(name)
    module.__package__ = name.rpartition(".")[0]
    sys.modules[name] = module
    exec(compile(text, name, "exec"), module.__dict__)
    return module


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


# All of it


def log_of(pid: int) -> str:
    for number in (2, 1):
        try:
            path = os.readlink("/proc/%d/fd/%d" % (pid, number))
        except OSError:
            continue
        if os.path.isfile(path):
            return path
    return ""


def tail(path: str) -> List[str]:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - MAX_LOG))
            return file.read(MAX_LOG).decode("utf-8", "replace").splitlines()[-60:]
    except OSError:
        return []


def recorder_of(mapped: List[str], magic: bytes) -> str:
    """The flight recorder's file as it is, base64; "" where there is none."""
    for path in mapped:
        try:
            with open(path, "rb") as file:
                if file.read(len(magic)) == magic:
                    file.seek(0)
                    return base64.b64encode(file.read(MAX_RECORDER)).decode()
        except OSError:
            continue
    return ""


def frameworks_in(mapped: List[str]) -> List[str]:
    """Names of the folders that tell the framework's release, in the site-packages that it is loaded from."""
    for path in mapped:
        match = re.match(r"(.*/(?:site|dist)-packages)/(?:tensorflow|torch)/", path)
        if match:
            try:
                names = os.listdir(match.group(1))
            except OSError:
                return []
            return [name for name in names if re.match(r"(tensorflow|torch)[\w]*-[\d.]+.*info$", name)]
    return []


def collect(order: Dict[str, Any], cargo: Dict[str, bytes]) -> List[Dict[str, Any]]:
    began = time.monotonic()
    pids, logs = order["pids"], {pid: log_of(pid) for pid in order["pids"]}
    links = sockets_of(pids)
    first = {pid: look(pid, links[pid], logs[pid]) for pid in pids}
    time.sleep(order["gap"])
    links = sockets_of(pids)
    second = {pid: look(pid, links[pid], logs[pid]) for pid in pids}
    ends = {inode: pair for pid in pids for inode, pair in links[pid]["ends"].items()}
    sleeps = module_of("asleep", cargo["asleep"]).look_at(pids, ends)
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
