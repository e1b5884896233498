"""Trials as Ray tasks, each with the cores that it needs: on a cluster that is there, or on one started here.

A node that is lost costs its trials only: they are written down as lost, and the study asks for more. On its node a
task runs `repro.study.worker` in a process of its own, so that the kernel ends all of it when the task's
worker is killed. The nodes need this package and the runtimes, which they build themselves the first time.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import ray

from diagnostics.errors import MissingError
from repro.study.engine import Ended, LocalEngine
from repro.study.store import Result
from repro.study.worker import TrialSpec


def _run_one(number: int, spec: bytes) -> bytes:
    """Runs on a node. Raises: RuntimeError: the trial's process ended without a result."""
    with LocalEngine() as engine:
        engine.start(number, msgspec.json.decode(spec, type=TrialSpec))
        while not (ended := engine.wait(3600.0)):
            pass
    result = ended[0][1]
    if isinstance(result, str):
        raise RuntimeError(result)
    return msgspec.json.encode(result)


class RayEngine:
    """See `Engine`."""

    def __init__(self, cores_each: int = 0, address: str | None = None) -> None:
        """`cores_each`: 0 gives a trial as many as the smallest node has.

        Raises:
            MissingError: there is no cluster at `address`.
        """
        environment = {"env_vars": {"PYTHONPATH": os.pathsep.join(_import_paths())}}
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        started_here: dict[str, Any] = {"include_dashboard": False} if address is None else {}
        try:
            ray.init(address=address, runtime_env=environment, log_to_driver=False, **started_here)
        except (ConnectionError, ValueError) as error:
            raise MissingError(f"there is no Ray cluster at {address}: {error}", "See ray start --help") from None
        self._cores = cores_each or max(1, min(_cores_of_nodes(), default=1))
        self._task = ray.remote(num_cpus=self._cores, max_retries=0)(_run_one)
        self._running: dict[Any, int] = {}

    @property
    def slots(self) -> int:
        """As many as fit on the nodes that are alive now."""
        return max(1, sum(int(cores) // self._cores for cores in _cores_of_nodes()))

    def __enter__(self) -> RayEngine:
        return self

    def __exit__(self, *_: object) -> None:
        for task in self._running:
            ray.cancel(task, force=True)
        ray.shutdown()

    def start(self, number: int, spec: TrialSpec) -> None:
        self._running[self._task.remote(number, msgspec.json.encode(spec))] = number

    def wait(self, seconds: float) -> list[Ended]:
        if not self._running:
            return []
        ready, _ = ray.wait(list(self._running), num_returns=1, timeout=seconds)
        return [(self._running.pop(task), _result(task)) for task in ready]


def _result(task: Any) -> Result | str:
    try:
        return msgspec.json.decode(ray.get(task), type=Result)
    except ray.exceptions.RayError as error:
        return f"{type(error).__name__}: {str(error).strip().splitlines()[-1] if str(error).strip() else ''}"


def _cores_of_nodes() -> list[int]:
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return [int(cores) for node in nodes if node["Alive"] and (cores := node["Resources"].get("CPU", 0)) >= 1]


def _import_paths() -> list[str]:
    """Where this very code is, for workers that run another checkout or none."""
    here = str(Path(__file__).resolve().parents[2])
    return [here, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
