"""What a process says of its place in a job, by its environment, its command line and its control group. Pure.

Sources, each documented by who sets it: TensorFlow's `TF_CONFIG`; `CLUSTER_SPEC`, `JOB_NAME`, `TASK_INDEX` and the
flags `--job_name --task_index --ps_hosts --worker_hosts` of TensorFlow 1 programs; `RANK`, `WORLD_SIZE`, `MASTER_ADDR`,
`MASTER_PORT` of torchrun, accelerate, DeepSpeed and Ray Train; `NODE_RANK`, `LOCAL_RANK` of Lightning's own launcher;
Open MPI, MPICH and Intel MPI, MVAPICH2, Horovod; `JAX_PROCESS_ID`; Slurm's `SLURM_JOB_ID`, `SLURM_PROCID`; YARN's
`CONTAINER_ID`; Kubernetes' and Docker's control groups; titles that vLLM and SGLang give to their processes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import zip_longest

from diagnostics.discover import cluster_spec
from diagnostics.discover.addresses import is_loopback
from diagnostics.discover.cluster_spec import MAX_RANKS, index_of
from diagnostics.model import Record

_RANKED = (
    ("RANK", "WORLD_SIZE"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
    ("HOROVOD_RANK", "HOROVOD_SIZE"),
    ("JAX_PROCESS_ID", "JAX_NUM_PROCESSES"),
)
"""Variables with the rank and with the number of all ranks, the most telling first: mpirun may start torchrun."""

_MEETING = (
    "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID", "JAX_COORDINATOR_ADDRESS", "PMIX_NAMESPACE", "SLURM_JOB_ID",
)  # fmt: skip

KEYS = frozenset({
    "TF_CONFIG", "CLUSTER_SPEC", "JOB_NAME", "TASK_INDEX", "LOCAL_RANK", "NODE_RANK", "LOCAL_WORLD_SIZE",
    "SLURM_PROCID", "SLURM_NTASKS", "CONTAINER_ID", "HOSTNAME", "LASTBATCH_RANK", "LASTBATCH_EXPECTED",
    *_MEETING, *(name for pair in _RANKED for name in pair),
})  # fmt: skip
"""The only variables that are ever taken out of a process's environment; none of them holds a secret."""

_CONTAINER = re.compile(r"(?:/docker/|docker-|/containerd/|(libpod-))([0-9a-f]{64})")
_POD = re.compile(r"pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12})")
_YARN = re.compile(r"container_(?:e\d+_)?(\d+_\d+)_\d+_(\d+)$")
_POD_RANK = re.compile(r"-(chief|master|worker|ps|evaluator|launcher)-(\d+)$")
_TITLE = re.compile(r"^(?:VLLM::(Worker)|sglang::(scheduler))((?:_(?:DP|PP|TP|EP)\d+)+)")


class Identity(Record, frozen=True):
    """What one process says. `job` names the job among all of this machine's; "" where nothing names it.

    `addresses` are `(rank, host:port)` of every rank that the process knows of. `meets_at`: the address where all
    ranks meet, which the first one serves. `here`: whether all ranks are on this machine, as far as it is told.
    """

    job: str
    rank: str
    source: str
    expected: tuple[str, ...] = ()
    addresses: tuple[tuple[str, str], ...] = ()
    meets_at: str = ""
    here: bool = False


def identity_of(environ: Mapping[str, str], command: Sequence[str], cgroup: str = "") -> Identity | None:
    """The strongest of what the process says; None where it says nothing."""
    by_cluster = cluster_spec.told_by(environ, flags_of(command))
    if by_cluster:
        return _of_cluster(*by_cluster)
    ways = (_ranked(environ), _lightning(environ), _slurm(environ), _yarn(environ), _own(environ), _titled(command))
    return next(filter(None, ways), None) or _container(environ, cgroup)


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


def _of_cluster(addresses: cluster_spec.Addresses, rank: str, source: str) -> Identity:
    return Identity(cluster_spec.job_name(addresses), rank, source, tuple(name for name, _ in addresses), addresses)


def _world(size: int | None) -> tuple[str, ...]:
    return tuple(f"worker:{number}" for number in range(min(size or 0, MAX_RANKS)))


def _meets_at(environ: Mapping[str, str]) -> str:
    port = environ.get("MASTER_PORT", "")
    return f"{environ.get('MASTER_ADDR', '')}:{port}" if port else environ.get("JAX_COORDINATOR_ADDRESS", "")


def _ranked(environ: Mapping[str, str]) -> Identity | None:
    for name, size_name in _RANKED:
        rank, size = index_of(environ.get(name, "")), index_of(environ.get(size_name, ""))
        if rank is not None and size is not None and rank < size <= MAX_RANKS:
            return _of_world(environ, rank, size, name)
    return None


def _of_world(environ: Mapping[str, str], rank: int, size: int, source: str) -> Identity:
    meets_at = _meets_at(environ)
    where = meets_at or next(filter(None, (environ.get(name, "") for name in _MEETING)), "local")
    kind = "jax" if source.startswith("JAX") else "torch" if source in ("RANK", "LOCAL_RANK") else "mpi"
    here = is_loopback(meets_at) or environ.get("LOCAL_WORLD_SIZE") == str(size)
    return Identity(f"{kind}-{where}", f"worker:{rank}", source, _world(size), meets_at=meets_at, here=here)


def _lightning(environ: Mapping[str, str]) -> Identity | None:
    """Its launcher sets no `RANK`. On the first host the local one is it; a host's share is not told."""
    local, node = index_of(environ.get("LOCAL_RANK", "")), environ.get("NODE_RANK", "")
    size = index_of(environ.get("WORLD_SIZE", ""))
    if local is None or node != "0" or size is None or not local < size <= MAX_RANKS:
        return None
    return _of_world(environ, local, size, "LOCAL_RANK")


def _titled(command: Sequence[str]) -> Identity | None:
    """`VLLM::Worker_TP3`: with one dimension it is the rank's number; with several the title itself is the name."""
    match = _TITLE.match(command[0]) if command else None
    if not match:
        return None
    dimensions = re.findall(r"_([A-Z]P)(\d+)", match[3])
    named = f"worker:{dimensions[0][1]}" if len(dimensions) == 1 else f"{match[1] or match[2]}{match[3]}"
    return Identity("", named, "its title")


def _slurm(environ: Mapping[str, str]) -> Identity | None:
    job, rank = environ.get("SLURM_JOB_ID", ""), index_of(environ.get("SLURM_PROCID", ""))
    if not job or rank is None:
        return None
    return Identity(f"slurm-{job}", f"worker:{rank}", "SLURM_PROCID", _world(index_of(environ.get("SLURM_NTASKS", ""))))


def _yarn(environ: Mapping[str, str]) -> Identity | None:
    match = _YARN.search(environ.get("CONTAINER_ID", ""))
    return Identity(f"yarn-{match[1]}", f"container:{int(match[2])}", "CONTAINER_ID") if match else None


def batch_of(environ: Mapping[str, str]) -> str:
    """The allocation that it runs in, as its system calls it: `slurm:77`, `yarn:application_1410901177871_0001`."""
    if job := environ.get("SLURM_JOB_ID", ""):
        return f"slurm:{job}"
    match = _YARN.search(environ.get("CONTAINER_ID", ""))
    return f"yarn:application_{match[1]}" if match else ""


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
    if found := _CONTAINER.search(cgroup):
        engine = "podman" if found[1] else "docker"
        return Identity(f"{engine}-{found[2][:12]}", "", "container's control group")
    return None
