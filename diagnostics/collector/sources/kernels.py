"""Kernels that are resident on the card, as cuda-gdb tells them, and GPU core dumps: only where the user asks for it.

cuda-gdb stops the process, and what runs for it on the card, until it detaches. It runs in a child with a deadline, is
first told to end, which makes it detach, and is killed only if it does not; the target runs again in any case. Core
dumps are looked for, never triggered. CPython 3.6, the standard library alone.
"""

import os
import re
import socket
import stat
import time
from typing import Any, Dict, List

from diagnostics.collector import namespaces
from diagnostics.collector.environment import environ_of
from diagnostics.collector.look import Fields, Look
from diagnostics.collector.stacks.base import CollectorError, Reading, attempt, run_tool

PLACES = ("/usr/local/cuda/bin/cuda-gdb", "/opt/cuda/bin/cuda-gdb")
MOST = 1 << 20
"""Characters of what cuda-gdb says that are kept."""

_SETTINGS = ("set auto-load no", "set debuginfod enabled off", "set pagination off", "set width 0", "set confirm off")
_ASKED = ("info cuda kernels", "info cuda threads", "bt", "detach")
_TO_DETACH = 5.0
"""Seconds that it has to let go after it was told to end."""

_USER_TRIGGERED, _PIPE, _FILE = "CUDA_ENABLE_USER_TRIGGERED_COREDUMP", "CUDA_COREDUMP_PIPE", "CUDA_COREDUMP_FILE"


def tool() -> str:
    """The path of cuda-gdb, "" where there is none."""
    import shutil  # it takes a while, and few need it

    found = shutil.which("cuda-gdb")
    return found or next((place for place in PLACES if os.access(place, os.X_OK)), "")


def asked(look: Look, wanted: Dict[str, Any], until: float) -> Fields:
    """Of each process `{"text", "pause", "why_not", "pipe", "dumps"}`. `wanted`: seconds for `each`."""
    return {pid: _of(pid, min(float(wanted["each"]), until - time.monotonic())) for pid in look.pids}


def _of(pid: int, budget: float) -> Dict[str, Any]:
    told, reading = attempt("cuda-gdb", _read, pid, budget)
    environ = environ_of(pid, (_USER_TRIGGERED, _PIPE, _FILE))
    return {
        "text": reading.text,
        "pause": told.pause,
        "why_not": told.why_not,
        "pipe": _pipe(pid, environ),
        "dumps": _dumps(pid, environ),
    }


def _read(pid: int, budget: float) -> Reading:
    debugger = tool()
    if not debugger:
        raise CollectorError("cuda-gdb is not installed here (it comes with the CUDA toolkit)")
    if budget <= 0:
        raise CollectorError("the other processes took too long")
    argv = [debugger, "-nx", "-batch"] + [word for setting in _SETTINGS for word in ("-iex", setting)]
    argv += ["-p", str(pid)] + [word for command in _ASKED for word in ("-ex", command)]
    output = run_tool(argv, budget, may_fail=True, to_end=_TO_DETACH)
    return Reading(output[:MOST].decode("utf-8", "replace"))


def _pipe(pid: int, environ: Dict[str, str]) -> str:
    """The pipe through which the job can be asked for a GPU core dump; "" where it was not started for that."""
    if environ.get(_USER_TRIGGERED, "0") in ("", "0"):
        return ""
    path = _place(pid, environ.get(_PIPE) or "corepipe.cuda.%h.%p")
    try:
        return path if stat.S_ISFIFO(os.stat(namespaces.path_of(pid, path)).st_mode) else ""
    except OSError:
        return ""


def _dumps(pid: int, environ: Dict[str, str]) -> List[str]:
    """GPU core dumps of this process that already lie there. The time in a name is not known, so any will do."""
    path = _place(pid, environ.get(_FILE) or "core.cuda.%h.%p")
    folder, _, name = path.rpartition("/")
    pattern = re.compile(re.escape(name).replace(re.escape("%t"), r"\d+"))
    try:
        there = os.listdir(namespaces.path_of(pid, folder or "/"))
    except OSError:
        return []
    return sorted("%s/%s" % (folder, one) for one in there if pattern.fullmatch(one))[:8]


def _place(pid: int, template: str) -> str:
    """As the process knows it. Names by default: "Coredump Attributes Control API" of CUDA's driver reference."""
    name = template.replace("%h", socket.gethostname()).replace("%p", str(pid))
    try:
        return os.path.join(os.readlink("/proc/%d/cwd" % pid), name)
    except OSError:
        return name
