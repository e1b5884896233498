"""What the shell agent says where there is no Python: files of /proc and gdb's words, as lines. Pure."""

from __future__ import annotations

import re

from diagnostics.model import Attempt, Sample, ThreadSample
from diagnostics.transport.lines import About, EvidenceThere, Line, OutputThere, StacksThere, Told

MARK = b"@@lastbatch no-python"
_PART = re.compile(r"^@@lastbatch (.*)$", re.MULTILINE)


def parse(text: str) -> list[Line]:
    """The same lines that a collector says, with what a shell can see."""
    parts = _PART.split(text)
    files = dict(zip(parts[1::2], (part.strip("\n") for part in parts[2::2]), strict=True))
    seen, found = [], [Line(about=About(files.get("hostname", "").strip()))]
    for name in files:
        if match := re.fullmatch(r"scan/(\d+)/cmdline", name):
            stat = _fields(files.get(f"scan/{match[1]}/stat", ""))
            command = tuple(files[name].split("\n"))
            seen.append(Told(int(match[1]), _number(stat[1:2]), command=command))
        elif match := re.fullmatch(r"second/(\d+)/cmdline", name):
            found += _process(match[1], files)
    return [*found, Line(seen=tuple(seen), done=True)]


def _number(words: list[str]) -> int:
    return int(words[0]) if words and words[0].isdecimal() else 0


def _fields(stat: str) -> list[str]:
    return stat.rpartition(")")[2].split() or [""]


def _process(pid: str, files: dict[str, str]) -> list[Line]:
    said = files.get(f"gdb {pid}", "")
    why_not = "" if said.strip() else "gdb is not installed there, or could not read it"
    evidence = EvidenceThere(
        pid=int(pid),
        samples=tuple(_sample(which, pid, files, at) for at, which in ((0.0, "first"), (1.0, "second"))),
        command=tuple(files[f"second/{pid}/cmdline"].split("\n")),
    )
    attempt = Attempt("gdb", not why_not, 0.0, why_not=why_not)
    stacks = StacksThere(int(pid), (attempt,), {"gdb": OutputThere(said)} if said.strip() else {})
    return [Line(evidence=evidence), Line(stacks=stacks)]


def _sample(which: str, pid: str, files: dict[str, str], at: float) -> Sample:
    prefix = f"{which}/{pid}/task/"
    tids = sorted({int(name[len(prefix) :].split("/")[0]) for name in files if name.startswith(prefix)})
    return Sample(at, tuple(_thread(f"{prefix}{tid}/", tid, files) for tid in tids))


def _thread(home: str, tid: int, files: dict[str, str]) -> ThreadSample:
    fields = _fields(files.get(home + "stat", ""))
    switches = dict(re.findall(r"^(\w+_ctxt_switches):\s*(\d+)", files.get(home + "status", ""), re.MULTILINE))
    called = files.get(home + "syscall", "").split()
    return ThreadSample(
        tid=tid,
        name=files.get(home + "comm", "").strip(),
        state=fields[0],
        cpu=(_number(fields[11:12]) + _number(fields[12:13])) / 100,
        voluntary=int(switches.get("voluntary_ctxt_switches", 0)),
        involuntary=int(switches.get("nonvoluntary_ctxt_switches", 0)),
        wchan=files.get(home + "wchan", "").strip().removeprefix("0"),
        syscall=_number(called[:1]) if called and called[0].isdecimal() else -1,
    )
