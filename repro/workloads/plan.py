"""What a job needs, from its settings alone: parameters, memory of each rank, bytes on the network."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from repro.setting import Settings
from repro.workloads.placement import place
from repro.workloads.states import PRECISIONS, SLOTS
from repro.workloads.terms import Term, term, total
from repro.workloads.workload import OPERATION_BYTES, Exchange, Variable, Workload


class Need(msgspec.Struct, frozen=True):
    """What one rank needs beyond the idle framework, in bytes at the peak of a step."""

    rank: str
    terms: tuple[Term, ...]
    bytes: int


class Edge(msgspec.Struct, frozen=True):
    """What one rank sends to another in a step: tensors, each of them one receive, and their bytes."""

    source: str
    target: str
    tensors: int
    bytes: int


class Plan(msgspec.Struct, frozen=True):
    """Attributes:
    parameters: their number, by part.
    states: bytes of the whole job's parameters, gradients and optimizer state, each kept once.
    ranks: the servers, then the workers.
    edges: of worker:0, which stands for every worker.
    """

    workload: str
    settings: Settings
    parameters: tuple[Term, ...]
    parameter_count: int
    states: tuple[Term, ...]
    ranks: tuple[Need, ...]
    edges: tuple[Edge, ...]
    network_bytes: int  # a step of every worker


def plan(workload: Workload, settings: Settings) -> Plan:
    """The plan of one worker's step, all workers doing it at once.

    Args:
        workload: which model.
        settings: all of the workload's, and those of the job (`settings_of`).
    """
    variables = workload.variables(settings)
    held = place(variables, settings["ps"]) if settings["ps"] else ()
    exchanges = [workload.exchange(settings, part) for part in held]
    edges = _edges(exchanges) if held else _ring(variables, settings)
    parameters = workload.parameters(settings)
    return Plan(
        workload=workload.name,
        settings=settings,
        parameters=parameters,
        parameter_count=total(parameters),
        states=_states(variables, settings, gradients=True),
        ranks=(
            *(_server(workload, settings, *part) for part in enumerate(zip(held, exchanges, strict=True))),
            *_workers(workload, settings, variables, exchanges),
        ),
        edges=edges,
        network_bytes=settings["workers"] * sum(edge.bytes for edge in edges),
    )


def _states(variables: Sequence[Variable], settings: Settings, *, gradients: bool) -> tuple[Term, ...]:
    """What is kept for each parameter. A looked-up variable's gradient is of the rows that were looked up."""
    kind = PRECISIONS[settings["precision"]]
    optimizer = settings.get("optimizer")
    values = {
        "parameters": sum(variable.size for variable in variables),
        "touched": sum(variable.touched for variable in variables),
        "slots": SLOTS[optimizer] if optimizer else 0,
        "bytes_each": kind.parameter,
    }
    found = [term("parameters", "parameters * bytes_each", values)]
    if optimizer and kind.master:
        master = {**values, "bytes_each": kind.master}
        found.append(term("float32 master copy", "parameters * bytes_each", master))
    if optimizer and gradients:
        found.append(term("gradients", "touched * bytes_each", {**values, "bytes_each": kind.gradient}))
    if values["slots"]:
        slot = {**values, "bytes_each": kind.slot}
        found.append(term(f"optimizer ({optimizer})", "slots * parameters * bytes_each", slot))
    return tuple(found)


def _need(rank: str, terms: tuple[Term, ...]) -> Need:
    terms = tuple(term for term in terms if term.value)
    return Need(rank, terms, total(terms))


def _server(workload: Workload, settings: Settings, index: int, part: tuple[tuple[Variable, ...], Exchange]) -> Need:
    """A server is fullest either when its last and largest variable is initialized or in a step.

    TensorFlow makes an initial value first and then copies it: a variable asks for memory that devices and network
    cards reach, a temporary for any. Of what arrives in a step each is used when it comes, in the order of the backward
    pass: the largest alone counts, held as the message and as a tensor.
    """
    held, exchange = part
    kept = _states(held, settings, gradients=False)
    values = {
        "workers": settings["workers"],
        "sent": exchange.to_server.largest,
        "largest": max((variable.size for variable in held), default=0),
        "bytes_each": PRECISIONS[settings["precision"]].parameter,
    }
    initial = (term("initial value of the largest, before it is copied", "largest * bytes_each", values),)
    arrived = term("largest that arrives from each worker, message and tensor", "2 * workers * sent", values)
    step = (arrived, *workload.on_server(settings))
    return _need(f"ps:{index}", (*kept, *max(initial, step, key=total)))


def _workers(
    workload: Workload, settings: Settings, variables: Sequence[Variable], exchanges: Sequence[Exchange]
) -> tuple[Need, ...]:
    if exchanges:
        read = {"read": sum(exchange.to_worker.bytes for exchange in exchanges)}
        terms: tuple[Term, ...] = (term("read from the servers", "read", read),)
    else:
        terms = _states(variables, settings, gradients=True)
    graph = {"operations": workload.operations(settings).value, "operation_bytes": OPERATION_BYTES}
    terms += (*workload.on_worker(settings), term("graph", "operations * operation_bytes", graph))
    return tuple(_need(f"worker:{index}", terms) for index in range(settings["workers"]))


def _edges(exchanges: Sequence[Exchange]) -> tuple[Edge, ...]:
    found = []
    for index, exchange in enumerate(exchanges):
        down, up = exchange.to_worker, exchange.to_server
        found.append(Edge(f"ps:{index}", "worker:0", down.tensors, down.bytes))
        found.append(Edge("worker:0", f"ps:{index}", up.tensors, up.bytes))
    return tuple(found)


def _ring(variables: Sequence[Variable], settings: Settings) -> tuple[Edge, ...]:
    """A ring all-reduce: each worker sends all gradients but its own share twice, in as many pieces."""
    workers = settings["workers"]
    if workers == 1 or "optimizer" not in settings:
        return ()
    gradients = sum(variable.touched for variable in variables) * PRECISIONS[settings["precision"]].gradient
    pieces = 2 * (workers - 1)
    return (Edge("worker:0", "worker:1", pieces, gradients * pieces // workers),)
