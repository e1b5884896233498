"""What a process says of its place in a job, by its environment, its command line and its control group. Pure.

Sources, each documented by who sets it: TensorFlow's `TF_CONFIG`; `CLUSTER_SPEC`, `JOB_NAME`, `TASK_INDEX` and the
flags `--job_name --task_index --ps_hosts --worker_hosts` of TensorFlow 1 programs; torchrun's `RANK`, `WORLD_SIZE`,
`MASTER_ADDR`, `MASTER_PORT`; Slurm's `SLURM_JOB_ID`, `SLURM_PROCID`; YARN's `CONTAINER_ID`; Kubernetes' and Docker's
control groups.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from itertools import zip_longest

from diagnostics.model import Record

KEYS = (
    "TF_CONFIG", "CLUSTER_SPEC", "JOB_NAME", "TASK_INDEX", "RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR",
    "MASTER_PORT", "TORCHELASTIC_RUN_ID", "SLURM_JOB_ID", "SLURM_PROCID", "SLURM_NTASKS", "CONTAINER_ID", "HOSTNAME",
    "LASTBATCH_RANK", "LASTBATCH_EXPECTED",
)  # fmt: skip
"""The only variables that are ever taken out of a process's environment; none of them holds a secret."""

_HOST_FLAGS = re.compile(r"(\w+)_hosts$")
_DOCKER = re.compile(r"(?:/docker/|docker-|/containerd/|libpod-)([0-9a-f]{64})")
_POD = re.compile(r"pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12})")
_YARN = re.compile(r"container_(?:e\d+_)?(\d+_\d+)_\d+_(\d+)$")
_POD_RANK = re.compile(r"-(chief|master|worker|ps|evaluator|launcher)-(\d+)$")
MAX_SPEC = 1 << 20
MAX_RANKS = 200_000


class Identity(Record, frozen=True):
    """What one process says. `job` names the job among all of this machine's; "" where nothing names it.

    `addresses` are `(rank, host:port)` of every rank that the process knows of.
    """

    job: str
    rank: str
    source: str
    expected: tuple[str, ...] = ()
    addresses: tuple[tuple[str, str], ...] = ()


def identity_of(environ: Mapping[str, str], command: Sequence[str], cgroup: str = "") -> Identity | None:
    """The strongest of what the process says; None where it says nothing."""
    flags = flags_of(command)
    for identity in (_tf_config(environ), _cluster_spec(environ), _tf_flags(flags), _torch(environ)):
        if identity:
            return identity
    return _slurm(environ) or _yarn(environ) or _own(environ) or _container(environ, cgroup)


def flags_of(command: Sequence[str]) -> dict[str, str]:
    """`--name=value` and `--name value`, also with one dash and with dashes in the name."""
    flags: dict[str, str] = {}
    words = list(command)
    for word, after in zip_longest(words, words[1:], fillvalue=""):
        if not word.startswith("-"):
            continue
        name, sign, value = word.lstrip("-").partition("=")
        flags[name.replace("-", "_")] = value if sign else after
    return flags


def _json(text: str) -> object:
    if not text or len(text) > MAX_SPEC:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _index(value: object) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else None


def addresses_in(cluster: object) -> tuple[tuple[str, str], ...]:
    """`{"ps": ["h:1"], "worker": {"3": "h:2"}}` -> (("ps:0", "h:1"), ("worker:3", "h:2")); () for nonsense."""
    if not isinstance(cluster, dict):
        return ()
    found: list[tuple[str, str]] = []
    for role, hosts in sorted(cluster.items(), key=lambda item: str(item[0])):
        pairs = enumerate(hosts) if isinstance(hosts, list) else hosts.items() if isinstance(hosts, dict) else ()
        found += [
            (f"{role}:{index}", address)
            for key, address in pairs
            if (index := _index(key)) is not None and isinstance(address, str)
        ]
    return tuple(found[:MAX_RANKS])


def _by_cluster(kind: str, addresses: tuple[tuple[str, str], ...], rank: str, source: str) -> Identity:
    digest = hashlib.sha256(repr(sorted(addresses)).encode()).hexdigest()[:6]
    return Identity(f"{kind}-{digest}", rank, source, tuple(name for name, _ in addresses), addresses)


def _tf_config(environ: Mapping[str, str]) -> Identity | None:
    config = _json(environ.get("TF_CONFIG", ""))
    if not isinstance(config, dict):
        return None
    task, addresses = config.get("task"), addresses_in(config.get("cluster"))
    index = _index(task.get("index", 0)) if isinstance(task, dict) else None
    if not isinstance(task, dict) or not isinstance(task.get("type"), str) or index is None:
        return None
    return _by_cluster("tf", addresses, f"{task['type']}:{index}", "TF_CONFIG")


def _cluster_spec(environ: Mapping[str, str]) -> Identity | None:
    addresses = addresses_in(_json(environ.get("CLUSTER_SPEC", "")))
    role, index = environ.get("JOB_NAME", ""), _index(environ.get("TASK_INDEX", "0"))
    if not role or index is None or not (addresses or "TASK_INDEX" in environ):
        return None
    return _by_cluster("tf", addresses, f"{role}:{index}", "CLUSTER_SPEC" if addresses else "JOB_NAME")


def _tf_flags(flags: Mapping[str, str]) -> Identity | None:
    role, index = flags.get("job_name", ""), _index(flags.get("task_index", flags.get("task_id", "0")))
    lists = {match[1]: flags[name].split(",") for name in flags if (match := _HOST_FLAGS.match(name)) and flags[name]}
    if not role or index is None or not lists:
        return None
    return _by_cluster("tf", addresses_in(lists), f"{role}:{index}", "--job_name")


def _torch(environ: Mapping[str, str]) -> Identity | None:
    rank, size = _index(environ.get("RANK", "")), _index(environ.get("WORLD_SIZE", ""))
    if rank is None or size is None or size > MAX_RANKS:
        return None
    where = ":".join(part for part in (environ.get("MASTER_ADDR", ""), environ.get("MASTER_PORT", "")) if part)
    name = where or environ.get("TORCHELASTIC_RUN_ID") or environ.get("SLURM_JOB_ID") or "local"
    return Identity(f"torch-{name}", f"worker:{rank}", "RANK", tuple(f"worker:{number}" for number in range(size)))


def _slurm(environ: Mapping[str, str]) -> Identity | None:
    job, rank = environ.get("SLURM_JOB_ID", ""), _index(environ.get("SLURM_PROCID", ""))
    if not job or rank is None:
        return None
    size = min(_index(environ.get("SLURM_NTASKS", "")) or 0, MAX_RANKS)
    return Identity(f"slurm-{job}", f"worker:{rank}", "SLURM_PROCID", tuple(f"worker:{n}" for n in range(size)))


def _yarn(environ: Mapping[str, str]) -> Identity | None:
    match = _YARN.search(environ.get("CONTAINER_ID", ""))
    return Identity(f"yarn-{match[1]}", f"container:{int(match[2])}", "CONTAINER_ID") if match else None


def _own(environ: Mapping[str, str]) -> Identity | None:
    rank = environ.get("LASTBATCH_RANK", "")
    expected = tuple(filter(None, environ.get("LASTBATCH_EXPECTED", "").split(",")))
    return Identity("", rank, "LASTBATCH_RANK", expected[:MAX_RANKS]) if rank else None


def _container(environ: Mapping[str, str], cgroup: str) -> Identity | None:
    """A container is its own job until connections say otherwise; a pod's name may tell its rank."""
    name = environ.get("HOSTNAME", "")
    if pod := _POD.search(cgroup):
        match = _POD_RANK.search(name)
        job = f"pod-{name[: match.start()]}" if match else f"pod-{pod[1][:8]}"
        return Identity(job, f"{match[1]}:{match[2]}" if match else "", "pod's control group")
    if docker := _DOCKER.search(cgroup):
        return Identity(f"docker-{docker[1][:12]}", "", "container's control group")
    return None
