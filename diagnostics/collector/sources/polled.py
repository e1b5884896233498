"""Lock files that a thread polls: the file is there, its path is at hand where the thread sleeps and looks again.

No system call shows such a wait, since the thread sleeps nearly all the time. Python's frames tell: the innermost one
that sleeps, or the one that called it, has the path in a variable. py-spy reads them without stopping anybody; what
else is in variables is not kept. CPython 3.6, the standard library alone.
"""

import json
import os
from typing import Any, Dict, Iterable, List, Tuple

from diagnostics.collector import namespaces, procfs
from diagnostics.collector.kernel import stat_fields, text_of
from diagnostics.collector.sources import mounts
from diagnostics.collector.stacks import pyspy
from diagnostics.collector.stacks.base import CollectorError

BUDGET = 3.0
NEAR = 2
"""Frames, from the innermost, whose variables count."""
CALLERS = 6
"""Frames that call a wait for a folder's lock, in whose variables the folder is looked for."""

_ENDINGS = (".lock", ".lck", "/lock")
_BATON = "file_baton.py"
"""PyTorch's lock of extension builds: a file in the build's folder, which a calling frame has."""
_SLEEPS = ("hrtimer_nanosleep", "do_nanosleep", "common_nsleep")


def is_polling(pid: int) -> bool:
    """Whether the main thread sleeps for a time."""
    home = "/proc/%d/task/%d/" % (pid, pid)
    return text_of(home + "wchan") in _SLEEPS and stat_fields(home + "stat")[0] == "S"


def polled_by(pid: int) -> Tuple[str, ...]:
    """Lock files that the main thread polls, by their paths as it knows them; () where that is not seen."""
    if not is_polling(pid):
        return ()
    try:
        threads = json.loads(pyspy.ask(pid, BUDGET, "--nonblocking", "--locals"))
        frames: List[Dict[str, Any]] = next(
            (thread["frames"] for thread in threads if thread["os_thread_id"] == pid), []
        )
        here = os.readlink("/proc/%d/cwd" % pid)
        candidates = [os.path.join(here, text) for text in names_in(frames)]
    except (CollectorError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return ()
    found = [path for path in mounts.answering(pid, candidates) if procfs.is_file(namespaces.path_of(pid, path))]
    return tuple(sorted(set(found)))


def names_in(frames: List[Dict[str, Any]]) -> Iterable[str]:
    """Paths that may be the lock's, by the variables of the frames, innermost first. It need not be there."""
    for frame in frames[:NEAR]:
        for text in _texts(frame):
            if text.endswith(_ENDINGS) and "\n" not in text:
                yield text
    if frames and os.path.basename(frames[0]["filename"]) == _BATON:
        for frame in frames[1 : 1 + CALLERS]:
            for text in _texts(frame):
                if "\n" not in text:
                    yield os.path.join(text, "lock")


def _texts(frame: Dict[str, Any]) -> Iterable[str]:
    """Values of variables that are text, whole."""
    for variable in frame.get("locals") or ():
        shown = variable.get("repr") or ""
        if shown[:1] == '"' and shown[-1:] == '"' and len(shown) > 2:
            yield shown[1:-1]
