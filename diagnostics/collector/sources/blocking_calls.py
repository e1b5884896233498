"""Why threads sleep, from the kernel's side: the system call that each is in, and what its arguments stand for.

Reads /proc/PID/task/TID/syscall, fd, fdinfo, mountinfo (man 5 proc), the words that the arguments point to, and the
kernel's table of Unix sockets (man 7 sock_diag). Stops nobody and asks no file system. Goes along to other hosts, so:
the standard library and `kernel` alone, CPython 3.6 and later.
"""

import os
import re
import socket
import struct
from typing import BinaryIO, Dict, Iterable, List, Mapping, NamedTuple, Optional, Set, Tuple

from diagnostics.collector import namespaces
from diagnostics.collector.kernel import sock_diag, stat_fields, text_of
from diagnostics.collector.look import Fields, Look, plain
from diagnostics.collector.mountinfo import Mount, is_below, mounts_in
from diagnostics.collector.syscalls import (
    BY_PATH,
    FUTEX_PRIVATE,
    ON_FILE,
    SIMPLE,
    WRITES,
    ends_in,
    has_limit,
    mutex_owner,
    names,
)

_POLLOUT = 4
_MOST_FILES = 256
_MOST_PATH = 1024

Ends = Mapping[int, Tuple[str, str]]
"""By a socket's inode: its own address, and the other's ("" for one that listens)."""


class BlockingCall(NamedTuple):
    """What a thread sleeps in; as `diagnostics.model.BlockingCall`, which tells what is what."""

    tid: int
    call: str
    kind: str
    what: str = ""
    holder: int = 0
    others: Tuple[int, ...] = ()
    peer: str = ""
    owner: int = 0
    limited: bool = False
    ends_in: float = -1.0


def once(look: Look) -> Fields:
    ends = {inode: pair for found in look.sockets.values() for inode, pair in found.ends.items()}
    return {pid: {"blocking_calls": plain(rows)} for pid, rows in look_at(look.pids, ends).items()}


class _File(NamedTuple):
    """A file of the process that a thread waits for. `pipe`, `unix`: inode whose other end is to be looked for."""

    kind: str
    what: str
    pipe: int = 0
    unix: int = 0
    writes: bool = False


def look_at(pids: Iterable[int], sockets: Ends) -> Dict[int, List[BlockingCall]]:
    """pid -> the threads of it that sleep and whose system call may be read."""
    calls = names()
    seen = {pid: _Process(pid, calls, sockets).threads() for pid in pids}
    wanted = [file for rows in seen.values() for _, files in rows for file in files]
    ends = _other_ends(wanted) if any(file.pipe or file.unix for file in wanted) else {}
    return {
        pid: [row._replace(others=_all_ends(files, ends)) if files else row for row, files in rows]
        for pid, rows in seen.items()
    }


def _all_ends(files: Iterable["_File"], ends: Mapping[Tuple[int, bool], Tuple[int, ...]]) -> Tuple[int, ...]:
    return tuple(sorted({pid for file in files for pid in ends.get(_key(file), ())}))


class _Process(object):
    """One process being looked at."""

    def __init__(self, pid: int, calls: Mapping[int, str], sockets: Ends) -> None:
        self._pid, self._calls, self._sockets = pid, calls, sockets
        self._mounts: Optional[List[Mount]] = None
        self._threads: Optional[Dict[int, int]] = None
        self._words: Optional[BinaryIO] = None
        self._shared: Optional[List[_SharedMap]] = None

    def threads(self) -> List[Tuple[BlockingCall, List[_File]]]:
        try:
            tids = sorted(int(name) for name in os.listdir("/proc/%d/task" % self._pid))
        except OSError:
            return []
        try:
            return [row for row in map(self._thread, tids) if row]
        finally:
            if self._words:
                self._words.close()

    def _thread(self, tid: int) -> Optional[Tuple[BlockingCall, List[_File]]]:
        home = "/proc/%d/task/%d/" % (self._pid, tid)
        said = text_of(home + "syscall")
        words = said.split()
        if len(words) < 7 or not words[0].isdigit() or stat_fields(home + "stat")[0] not in ("S", "D", "I"):
            return None
        call = self._calls.get(int(words[0]), "call %s" % words[0])
        arguments = [int(word, 16) for word in words[1:7]]
        row, files = self._explained(tid, call, arguments)
        row = row._replace(limited=has_limit(call, arguments), ends_in=ends_in(call, arguments, self._memory))
        if row.kind == "file" and _IN_PIPE.match(text_of(home + "wchan")):
            use = "to write" if arguments[BY_PATH[call] + 1] & os.O_ACCMODE else "to read"
            row = row._replace(what="%s (a named pipe, %s)" % (row.what.rpartition(" (")[0] or row.what, use))
        # What the arguments point to counts only if the thread was in the call all the time.
        return (row, files) if text_of(home + "syscall") == said else None

    def _explained(self, tid: int, call: str, arguments: List[int]) -> Tuple[BlockingCall, List[_File]]:
        if call == "futex":
            return self._futex(tid, arguments), []
        if call in ("wait4", "waitid"):
            return self._child(tid, call, arguments), []
        if call in BY_PATH:
            raw = self._memory(arguments[BY_PATH[call]], _MOST_PATH).split(b"\0")[0]
            path = raw.decode("utf-8", "replace")
            return BlockingCall(tid, call, "file", path + self._file_system(path)), []
        files = self._files(call, arguments)
        if len(files) == 1:
            return BlockingCall(tid, call, files[0].kind, files[0].what), files
        if files:
            return BlockingCall(tid, call, "several", _counted(files)), files
        return BlockingCall(tid, call, SIMPLE.get(call, "call")), []

    def _futex(self, tid: int, arguments: List[int]) -> BlockingCall:
        address, operation, value = arguments[0], arguments[1] & 127, arguments[2] & 0xFFFFFFFF
        data = self._memory(address, 20)
        owner = mutex_owner(data, operation, value) if len(data) == 20 else 0
        holder = self._inside_ids().get(owner, 0)
        if holder:
            return BlockingCall(tid, "futex", "mutex", hex(address), holder, owner=owner)
        if arguments[1] & FUTEX_PRIVATE:
            # The thread that took the lock is gone; or it was not taken along by a fork, and runs in the parent.
            others = _process_of(owner) if owner and not namespaces.is_elsewhere(self._pid, "pid") else ()
            return BlockingCall(tid, "futex", "futex", hex(address), 0, others, owner=owner)
        if self._shared is None:
            self._shared = list(_shared_maps(self._pid))
        file, others = sharing(self._pid, address, self._shared)
        what = "%s in %s" % (hex(address), file) if file else hex(address)
        return BlockingCall(tid, "futex", "futex", what, 0, others, owner=owner)

    def _inside_ids(self) -> Dict[int, int]:
        """Thread id as the process itself knows it -> as this program does."""
        if self._threads is None:
            self._threads = namespaces.inner_ids(self._pid)
        return self._threads

    def _child(self, tid: int, call: str, arguments: List[int]) -> BlockingCall:
        children = []
        for name in os.listdir("/proc/%d/task" % self._pid):
            children += [int(word) for word in text_of("/proc/%d/task/%s/children" % (self._pid, name)).split()]
        wanted = arguments[1] if call == "waitid" else arguments[0] & 0xFFFFFFFF
        one = [child for child in children if child == wanted]
        return BlockingCall(tid, call, "child", "" if one else "any", 0, tuple(one or sorted(children)))

    def _files(self, call: str, arguments: List[int]) -> List[_File]:
        """What it waits for, one of them where there are several."""
        if call in ON_FILE:
            return [self._file(arguments[0] & 0xFFFFFFFF, call in WRITES)]
        if call in ("poll", "ppoll"):
            count = min(arguments[1], _MOST_FILES)
            data = self._memory(arguments[0], 8 * count)
            asked = [(fd, events) for fd, events, _ in struct.iter_unpack("<ihh", data[: len(data) // 8 * 8])]
            return [self._file(fd, bool(events & _POLLOUT)) for fd, events in asked if fd >= 0]
        if call in ("select", "pselect6"):
            size = min(arguments[0] & 0xFFFFFFFF, 1024)
            sets = [self._memory(at, (size + 63) // 64 * 8) if at else b"" for at in arguments[1:3]]
            return [
                self._file(fd, writes)
                for data, writes in zip(sets, (False, True))
                for fd in range(min(size, 8 * len(data)))
                if data[fd // 8] >> fd % 8 & 1
            ][:_MOST_FILES]
        if call.startswith("epoll_"):
            info = text_of("/proc/%d/fdinfo/%d" % (self._pid, arguments[0] & 0xFFFFFFFF))
            asked = [
                (int(fd), int(events, 16)) for fd, events in re.findall(r"^tfd:\s*(\d+) events:\s*(\w+)", info, re.M)
            ]
            return [self._file(fd, not events & 1) for fd, events in asked[:_MOST_FILES]]
        return []

    def _file(self, fd: int, writes: bool) -> _File:
        try:
            link = os.readlink("/proc/%d/fd/%d" % (self._pid, fd))
        except OSError:
            return _File("file", "descriptor %d, which is closed" % fd)
        kind, _, rest = link.partition(":[")
        inode = int(rest[:-1]) if rest[:-1].isdigit() else 0
        if kind == "socket" and inode in self._sockets:
            local, remote = self._sockets[inode]
            return _File("socket", "%s -> %s" % (local, remote) if remote else local)
        if kind == "socket":
            return _File("socket", link, unix=inode)
        if kind == "pipe":
            return _File("pipe", link, pipe=inode, writes=writes)
        if link.startswith("anon_inode:"):
            return _File("event", link[11:].strip("[]"))
        if link.startswith(("/dev/pts/", "/dev/tty")):
            return _File("terminal", link)
        match = re.search(r"^mnt_id:\s*(\d+)", text_of("/proc/%d/fdinfo/%d" % (self._pid, fd)), re.M)
        return _File("file", link + self._file_system(link, match.group(1) if match else ""))

    def _file_system(self, path: str, mount: str = "") -> str:
        """` (nfs4 of server:/export)`: by the mount's number, else by the longest mount point above the path."""
        if self._mounts is None:
            self._mounts = mounts_in(text_of("/proc/%d/mountinfo" % self._pid, 4 << 20))
        found = [one for one in self._mounts if one.number == mount]
        if not found and path.startswith("/"):
            found = sorted((one for one in self._mounts if is_below(path, one.point)), key=lambda one: len(one.point))
        return " (%s of %s)" % (found[-1].kind, found[-1].source) if found else ""

    def _memory(self, address: int, size: int) -> bytes:
        """What lies there, less where the mapping ends; b"" where it may not be read."""
        try:
            if self._words is None:
                self._words = open("/proc/%d/mem" % self._pid, "rb", buffering=0)  # noqa: SIM115
            return os.pread(self._words.fileno(), size, address)
        except (OSError, OverflowError):
            return b""


_IN_PIPE = re.compile(r"(?:anon_)?pipe_|fifo_open|wait_for_partner")
"""Kernel functions in which a thread waits for the other end of a pipe."""
_SHARED = re.compile(r"^[0-9a-f]+-[0-9a-f]+ ...s .*", re.M)
_SharedMap = Tuple[int, int, List[str]]
"""Begin, end, and the words of the line in /proc/PID/maps."""


def _process_of(tid: int) -> Tuple[int, ...]:
    """The process that has this thread now, if any."""
    match = re.search(r"^Tgid:\s*(\d+)", text_of("/proc/%d/status" % tid), re.M)
    return (int(match.group(1)),) if match else ()


def sharing(pid: int, address: int, maps: Iterable[_SharedMap]) -> Tuple[str, Tuple[int, ...]]:
    """The file that is mapped there for others to see, and the other processes of this machine that map it, too.

    `maps`: what the process shares.
    """
    mapped = next((words for begin, end, words in maps if begin <= address < end), None)
    if mapped is None:
        return "", ()
    same = mapped[3:5]  # device and inode; a deleted file has them, too
    others = [
        int(name)
        for name in os.listdir("/proc")
        if name.isdigit() and int(name) != pid and any(words[3:5] == same for _, _, words in _shared_maps(int(name)))
    ]
    return mapped[5] if len(mapped) > 5 else "anonymous memory", tuple(sorted(others))


def _shared_maps(pid: int) -> Iterable[_SharedMap]:
    for line in _SHARED.findall(text_of("/proc/%d/maps" % pid, 16 << 20)):
        words = line.split(None, 5)
        if len(words) > 4:
            begin, _, end = words[0].partition("-")
            yield int(begin, 16), int(end, 16), words


def _counted(files: List[_File]) -> str:
    kinds = [_kind_of(file) for file in files]
    return ", ".join(
        "%d %s%s" % (kinds.count(kind), kind, "s" if kinds.count(kind) > 1 else "") for kind in sorted(set(kinds))
    )


def _kind_of(file: _File) -> str:
    listens = file.kind == "socket" and " -> " not in file.what and not file.what.startswith("socket:[")
    return file.what if file.kind == "event" else "listening socket" if listens else file.kind


# Who has the other end


def _key(file: _File) -> Tuple[int, bool]:
    """Inode and whether its readers are looked for; no file has the inode 0."""
    return (file.pipe, file.writes) if file.pipe else (file.unix, False)


def _other_ends(files: Iterable[_File]) -> Dict[Tuple[int, bool], Tuple[int, ...]]:
    pipes = {_key(file) for file in files if file.pipe}
    unix = {file.unix for file in files if file.unix}
    peers = _unix_peers() if unix else {}
    wanted = {"pipe:[%d]" % inode for inode, _ in pipes}
    wanted |= {"socket:[%d]" % peers[inode] for inode in unix if peers.get(inode)}
    found: Dict[Tuple[int, bool], Set[int]] = {}
    back = {peers[inode]: inode for inode in unix if peers.get(inode)}
    for pid, fd, link in open_files(wanted):
        inode = int(link.partition("[")[2][:-1])
        if link.startswith("socket"):
            found.setdefault((back[inode], False), set()).add(pid)
            continue
        match = re.search(r"^flags:\s*(\d+)", text_of("/proc/%d/fdinfo/%s" % (pid, fd)), re.M)
        access = int(match.group(1), 8) & 3 if match else os.O_RDWR
        for readers in (False, True):
            if (inode, readers) in pipes and access in (os.O_RDWR, os.O_RDONLY if readers else os.O_WRONLY):
                found.setdefault((inode, readers), set()).add(pid)
    return {key: tuple(sorted(pids)) for key, pids in found.items()}


def open_files(links: Set[str]) -> Iterable[Tuple[int, str, str]]:
    """(pid, descriptor, link) wherever one of these is open on this machine."""
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        home = "/proc/%s/fd" % name
        try:
            descriptors = os.listdir(home)
        except OSError:
            continue
        for fd in descriptors:
            try:
                link = os.readlink("%s/%s" % (home, fd))
            except OSError:
                continue
            if link in links:
                yield int(name), fd, link


def _unix_peers() -> Dict[int, int]:
    """Inode -> the peer's, of the connected Unix sockets of this network namespace (linux/unix_diag.h)."""
    found: Dict[int, int] = {}
    request = struct.pack("=BBHIIIII", socket.AF_UNIX, 0, 0, 0xFFFFFFFF, 0, 4, 0xFFFFFFFF, 0xFFFFFFFF)
    try:
        for answer in sock_diag(request):
            (inode,) = struct.unpack_from("=I", answer, 4)
            at = 16
            while at + 8 <= len(answer):
                size, name = struct.unpack_from("=HH", answer, at)
                if name == 2:
                    found[inode] = struct.unpack_from("=I", answer, at + 4)[0]
                at += max((size + 3) & ~3, 4)
    except (OSError, struct.error):
        pass
    return found
