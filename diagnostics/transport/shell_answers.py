"""What the shell agent says where there is no Python: files of /proc and gdb's words, as lines. Pure."""

from __future__ import annotations

import re
from typing import Any

MARK = b"@@lastbatch no-python"
_PART = re.compile(r"^@@lastbatch (.*)$", re.MULTILINE)


def parse(text: str) -> dict[str, Any]:
    """The same document that the Python agent sends, with what a shell can see."""
    parts = _PART.split(text)
    files = dict(zip(parts[1::2], (part.strip("\n") for part in parts[2::2]), strict=True))
    found: dict[str, Any] = {"host": files.get("hostname", "").strip(), "seen": [], "processes": []}
    for name in files:
        if match := re.fullmatch(r"scan/(\d+)/cmdline", name):
            stat = _fields(files.get(f"scan/{match[1]}/stat", ""))
            command = files[name].split("\n")
            found["seen"].append(
                {"pid": int(match[1]), "parent": int(stat[1]) if len(stat) > 1 else 0, "command": command}
            )
        elif match := re.fullmatch(r"second/(\d+)/cmdline", name):
            found["processes"].append(_process(match[1], files))
    return found


def _fields(stat: str) -> list[str]:
    return stat.rpartition(")")[2].split() or [""]


def _process(pid: str, files: dict[str, str]) -> dict[str, Any]:
    said = files.get(f"gdb {pid}", "")
    rung = {"text": said, "why_not": "" if said.strip() else "gdb is not installed there, or could not read it"}
    return {
        "pid": int(pid),
        "command": files[f"second/{pid}/cmdline"].split("\n"),
        "samples": [_sample(look, pid, files, at) for at, look in ((0.0, "first"), (1.0, "second"))],
        "rungs": {"gdb": rung},
        "state_after": "",
    }


def _sample(look: str, pid: str, files: dict[str, str], at: float) -> dict[str, Any]:
    prefix = f"{look}/{pid}/task/"
    tids = sorted({int(name[len(prefix) :].split("/")[0]) for name in files if name.startswith(prefix)})
    return {"at": at, "threads": [_thread(f"{prefix}{tid}/", tid, files) for tid in tids]}


def _thread(home: str, tid: int, files: dict[str, str]) -> dict[str, Any]:
    fields = _fields(files.get(home + "stat", ""))
    switches = dict(re.findall(r"^(\w+_ctxt_switches):\s*(\d+)", files.get(home + "status", ""), re.MULTILINE))
    called = files.get(home + "syscall", "").split()
    return {
        "tid": tid,
        "name": files.get(home + "comm", "").strip(),
        "state": fields[0],
        "cpu": (int(fields[11]) + int(fields[12])) / 100 if len(fields) > 12 else 0.0,
        "voluntary": int(switches.get("voluntary_ctxt_switches", 0)),
        "involuntary": int(switches.get("nonvoluntary_ctxt_switches", 0)),
        "wchan": files.get(home + "wchan", "").strip().removeprefix("0"),
        "syscall": int(called[0]) if called and called[0].lstrip("-").isdigit() else -1,
    }
