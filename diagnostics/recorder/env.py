"""Which recorder the environment asks for::

LASTBATCH_RECORDER    a file, or a directory (one that exists, or a name that ends with /); without
                          it nothing is recorded
LASTBATCH_RANK        worker:0; else from TF_CONFIG, JOB_NAME and TASK_INDEX, or RANK
LASTBATCH_EXPECTED    every rank of the job, with commas; else from TF_CONFIG or WORLD_SIZE
LASTBATCH_RUNTIME     tf1.12.0; else the framework that is imported already
"""

import json
import os
import re
import sys
from typing import Any, Callable, Dict, List, Mapping

from . import create
from .layout import SUFFIX
from .null import NullRecorder
from .reader import RecordingError, read_header

_made: Dict[Any, Any] = {}


def _tf_config(environ: Mapping[str, str]) -> Dict[str, Any]:
    try:
        config = json.loads(environ.get("TF_CONFIG", ""))
    except ValueError:
        return {}
    return config if isinstance(config, dict) else {}


def rank(environ: Mapping[str, str]) -> str:
    """This process's rank; ``process:PID`` if nothing says."""
    if environ.get("LASTBATCH_RANK"):
        return environ["LASTBATCH_RANK"]
    task = _tf_config(environ).get("task")
    if isinstance(task, dict) and isinstance(task.get("type"), str) and task["type"]:
        return "%s:%s" % (task["type"], task.get("index", 0))
    if environ.get("JOB_NAME"):
        return "%s:%s" % (environ["JOB_NAME"], environ.get("TASK_INDEX") or 0)
    if environ.get("RANK"):
        return "worker:" + environ["RANK"]
    return "process:%d" % os.getpid()


def expected(environ: Mapping[str, str]) -> List[str]:
    """Every rank of the job, as far as the environment says."""
    if environ.get("LASTBATCH_EXPECTED"):
        return [name.strip() for name in environ["LASTBATCH_EXPECTED"].split(",") if name.strip()]
    cluster = _tf_config(environ).get("cluster")
    if isinstance(cluster, dict):
        # Hosts are a list, or a dict by index where the cluster is sparse.
        return [
            "%s:%s" % (role, index)
            for role in sorted(cluster)
            if isinstance(cluster[role], (list, dict))
            for index in (cluster[role] if isinstance(cluster[role], dict) else range(len(cluster[role])))
        ]
    size = environ.get("WORLD_SIZE", "")
    if environ.get("RANK") and size.isdigit() and int(size) <= 1 << 16:
        return ["worker:%d" % index for index in range(int(size))]
    return []


def runtime() -> str:
    """The framework that this process has imported, ``tf1.12.0`` or ``torch2.1.0``; "" for none."""
    for module, short in (("tensorflow", "tf"), ("torch", "torch"), ("jax", "jax")):
        version = getattr(sys.modules.get(module), "__version__", None)
        if version:
            return "%s%s" % (short, version)
    return ""


def _path(target: str, who: str) -> str:
    if target.endswith(os.sep) or os.path.isdir(target):
        os.makedirs(target, mode=0o700, exist_ok=True)
        return os.path.join(target, "%s.%d%s" % (re.sub(r"[^A-Za-z0-9_.-]", "-", who), os.getpid(), SUFFIX))
    return target


def _taken(path: str) -> bool:
    """Whether a living process records into this file: a spawned child must not oust its parent."""
    try:
        header = read_header(path)
    except (OSError, RecordingError):
        return False
    return (
        header.boot_id == create.boot_id()
        and header.pid != os.getpid()
        and header.start_ticks != 0
        and header.start_ticks == create.start_ticks(header.pid)
    )


def from_env(make: Callable[..., Any], framework: str = "", capacity: int = 4096) -> Any:
    """The recorder that the environment asks for, or one that does nothing.

    In a directory the file is ``RANK.PID.lbrec``. A second call in the same process gives the same
    recorder. If the file is in use by another process, this one's gets its PID as a suffix. Raises nothing:
    a recorder that cannot be made is said on stderr and replaced by one that does nothing, because the job
    matters more.

    Args:
        make: :class:`.writer.Recorder`, from its arguments.
        framework: as for :class:`.writer.Recorder`, if the environment does not say.
        capacity: events that the ring holds.
    """
    target = os.environ.get("LASTBATCH_RECORDER", "")
    if not target:
        return NullRecorder()
    try:
        who = rank(os.environ)
        path = os.path.abspath(_path(target, who))
        made = _made.get((os.getpid(), path))
        if made is not None and made.alive:
            return made
        key = (os.getpid(), path)
        if _taken(path):
            path = "%s.%d" % (path, os.getpid())
        name = os.environ.get("LASTBATCH_RUNTIME") or framework or runtime()
        _made.clear()
        _made[key] = make(path, who, name, capacity, expected(os.environ))
        return _made[key]
    except Exception as error:
        sys.stderr.write("lastbatch: no recording: %s\n" % error)
        return NullRecorder()
