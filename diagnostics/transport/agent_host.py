"""What a host tells of its processes, as the collector that travels sees it: nobody is stopped.

The standard library and what travels with it, CPython 3.6 and later.
"""

import base64
import os
import re
import socket
import struct
import time
from typing import Any, Dict, Iterable, List, Optional, Set, Tuple

from diagnostics.collector.kernel import sock_diag, stat_fields, text_of

TICK = os.sysconf("SC_CLK_TCK")
MAX_RECORDER = 8 << 20
MAX_LOG = 64 << 10
TCP_INFO = 1 << 1  # struct tcp_info of linux/tcp.h is wanted, too
STATES = (
    "", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT",
    "LAST_ACK", "LISTEN", "CLOSING",
)  # fmt: skip


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
            question = struct.pack("=BBBxI", family, socket.IPPROTO_TCP, TCP_INFO, 0xFFFFFFFF) + bytes(48)
            for message in sock_diag(question):
                inode, link = connection_of(message)
                for pid in owners.get(inode, ()):
                    listens = link["state"] == "LISTEN"
                    found[pid]["listens" if listens else "connections"].append(link["local"] if listens else link)
                    found[pid]["ends"][inode] = (link["local"], "" if listens else link["remote"])
        except OSError:
            pass  # an old kernel, or not allowed: connections are missing, the rest is not
    return found


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
