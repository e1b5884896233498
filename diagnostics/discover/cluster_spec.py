"""A cluster as TensorFlow programs name it: roles, and the address of each task. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping

Addresses = tuple[tuple[str, str], ...]
"""`(rank, host:port)`."""

MAX_SPEC = 1 << 20
MAX_RANKS = 200_000
_HOST_FLAGS = re.compile(r"(\w+)_hosts$")


def told_by(environ: Mapping[str, str], flags: Mapping[str, str]) -> tuple[Addresses, str, str] | None:
    """The cluster, the rank in it, and what told it."""
    return _tf_config(environ) or _cluster_spec(environ) or _tf_flags(flags)


def job_name(addresses: Addresses, kind: str = "tf") -> str:
    """The same for all that name the same cluster."""
    return f"{kind}-{hashlib.sha256(repr(sorted(addresses)).encode()).hexdigest()[:6]}"


def _json(text: str) -> object:
    if not text or len(text) > MAX_SPEC:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def index_of(value: object) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else None


def addresses_in(cluster: object) -> Addresses:
    """`{"ps": ["h:1"], "worker": {"3": "h:2"}}` -> (("ps:0", "h:1"), ("worker:3", "h:2")); () for nonsense."""
    if not isinstance(cluster, dict):
        return ()
    found: list[tuple[str, str]] = []
    for role, hosts in sorted(cluster.items(), key=lambda item: str(item[0])):
        pairs = enumerate(hosts) if isinstance(hosts, list) else hosts.items() if isinstance(hosts, dict) else ()
        found += [
            (f"{role}:{index}", address)
            for key, address in pairs
            if (index := index_of(key)) is not None and isinstance(address, str)
        ]
    return tuple(found[:MAX_RANKS])


def _tf_config(environ: Mapping[str, str]) -> tuple[Addresses, str, str] | None:
    config = _json(environ.get("TF_CONFIG", ""))
    if not isinstance(config, dict):
        return None
    task, addresses = config.get("task"), addresses_in(config.get("cluster"))
    index = index_of(task.get("index", 0)) if isinstance(task, dict) else None
    if not isinstance(task, dict) or not isinstance(task.get("type"), str) or index is None:
        return None
    return addresses, f"{task['type']}:{index}", "TF_CONFIG"


def _cluster_spec(environ: Mapping[str, str]) -> tuple[Addresses, str, str] | None:
    addresses = addresses_in(_json(environ.get("CLUSTER_SPEC", "")))
    role, index = environ.get("JOB_NAME", ""), index_of(environ.get("TASK_INDEX", "0"))
    if not role or index is None or not (addresses or "TASK_INDEX" in environ):
        return None
    return addresses, f"{role}:{index}", "CLUSTER_SPEC" if addresses else "JOB_NAME"


def _tf_flags(flags: Mapping[str, str]) -> tuple[Addresses, str, str] | None:
    role, index = flags.get("job_name", ""), index_of(flags.get("task_index", flags.get("task_id", "0")))
    lists = {match[1]: flags[name].split(",") for name in flags if (match := _HOST_FLAGS.match(name)) and flags[name]}
    if not role or index is None or not lists:
        return None
    return addresses_in(lists), f"{role}:{index}", "--job_name"
