"""What a workload is: plain values and formulas of its settings."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import msgspec

from repro.setting import Setting, Settings
from repro.workloads.states import PRECISIONS, SLOTS
from repro.workloads.terms import Term


class Variable(msgspec.Struct, frozen=True):
    """One trained tensor.

    `looked_up` is the number of rows that a step reads of it; None: it is read, and gets a gradient, whole.
    A `partitioned` one has an equal share of its rows on every server.
    """

    name: str
    part: str
    shape: tuple[int, ...]
    looked_up: int | None = None
    partitioned: bool = False

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def touched(self) -> int:
        """Values that a step reads, and that get a gradient."""
        if self.looked_up is None:
            return self.size
        return min(self.looked_up, self.shape[0]) * math.prod(self.shape[1:])


class Traffic(msgspec.Struct, frozen=True):
    """What crosses from one process to another in a step: tensors (each one receive), their bytes, and those of the
    largest."""

    tensors: int = 0
    bytes: int = 0
    largest: int = 0

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(self.tensors + other.tensors, self.bytes + other.bytes, max(self.largest, other.largest))

    @classmethod
    def of(cls, size: int) -> Traffic:
        """One tensor of so many bytes."""
        return cls(1, size, size)


class Exchange(msgspec.Struct, frozen=True):
    """One worker's step with one server."""

    to_worker: Traffic
    to_server: Traffic


ID_BYTES = 8
"""Of an int64 id."""


PACKED = {"slices": 3, "depth": 256}
"""Eigen's parallel matmul packs its left side anew: three slices in flight, each about so deep (its caches decide)."""

OPERATION_BYTES = 40 << 10
"""What TensorFlow 1 takes on a worker for an operation of the graph, in Python, in the runtime and in the copies that
go to the master and to the optimizer: measured on 1.12, where it is 27 to 50 KiB."""


def values_of(settings: Settings) -> Settings:
    """What the formulas of a step speak of: the settings, and the bytes of a value and of an id."""
    value_bytes = PRECISIONS[settings["precision"]].activation
    return {**settings, **PACKED, "value_bytes": value_bytes, "id_bytes": ID_BYTES}


def nothing(settings: Settings) -> tuple[Term, ...]:
    """What a step computes on a server, where it only keeps and updates variables."""
    return ()


def pull_and_push(settings: Settings, held: Sequence[Variable]) -> Exchange:
    """A worker reads what it needs of the variables, and sends a gradient for all that it read.

    A looked-up variable is read by sending ids, an equal share of them to every server; the gradient's
    indices are those same ids.
    """
    kind = PRECISIONS[settings["precision"]]
    down, up = Traffic(), Traffic()
    for variable in held:
        down += Traffic.of(variable.touched * kind.parameter)
        up += Traffic.of(variable.touched * kind.gradient)
        if variable.looked_up is not None:
            up += Traffic.of(min(variable.looked_up, variable.shape[0]) * ID_BYTES)
    return Exchange(down, up)


class Workload(msgspec.Struct, frozen=True):
    """A model with its formulas. The functions take all settings, those of `JOB` included.

    Attributes:
        parameters: the number of parameters by part.
        variables: the same as the tensors that they are; they add up to `parameters`.
        operations: number of operations in the graph that a worker builds.
        on_worker: bytes of what a step computes on a worker, at its peak.
        on_server: bytes of what a step computes on each server, at its peak.
        exchange: what a step moves between a worker and a server that holds these (shares of) variables.
    """

    name: str
    summary: str
    settings: tuple[Setting, ...]
    parameters: Callable[[Settings], tuple[Term, ...]]
    variables: Callable[[Settings], tuple[Variable, ...]]
    operations: Callable[[Settings], Term]
    on_worker: Callable[[Settings], tuple[Term, ...]]
    on_server: Callable[[Settings], tuple[Term, ...]] = nothing
    exchange: Callable[[Settings, Sequence[Variable]], Exchange] = pull_and_push


JOB = (
    Setting("workers", 1, "worker processes", 1, 100_000),
    Setting("ps", 4, "parameter servers (0: none, the workers all-reduce their gradients)", 0, 1024),
    Setting("rows", 1, "rows in a worker's batch", 1, 10_000_000),
)
"""Settings of the job around the model; a scenario has its own of these names."""

NUMBERS = (
    Setting("precision", "float32", "what the values are", choices=tuple(PRECISIONS)),
    Setting("recompute", False, "keep a layer's input only, and compute the layer again for its gradients"),
)
"""What a plan can vary; the node programs train in float32 and keep what they computed."""


def optimizer(default: str) -> Setting:
    return Setting("optimizer", default, "how the parameters are updated", choices=tuple(SLOTS))
