"""`wide`: many small variables, each multiplied with the batch on its own server. Nothing is updated.

About as many tensors cross from the servers to the worker in every step as there are variables, which is what
`last-batch` needs.
"""

from __future__ import annotations

from collections.abc import Sequence

from repro.setting import Setting, Settings
from repro.workloads.states import PRECISIONS
from repro.workloads.terms import Term, term
from repro.workloads.workload import Exchange, Traffic, Variable, Workload, values_of


def _parameters(settings: Settings) -> tuple[Term, ...]:
    return (term("weights", "variables * width", settings),)


def _variables(settings: Settings) -> tuple[Variable, ...]:
    return tuple(Variable(f"w{i}", "weights", (settings["width"], 1)) for i in range(settings["variables"]))


def _operations(settings: Settings) -> Term:
    return term("operations", "5 * variables + 5", settings)


def _on_worker(settings: Settings) -> tuple[Term, ...]:
    values = values_of(settings)
    return (term("input: as it is kept, row by row, as a batch", "3 * rows * width * value_bytes", values),)


def _exchange(settings: Settings, held: Sequence[Variable]) -> Exchange:
    value = PRECISIONS[settings["precision"]].activation
    return Exchange(
        to_worker=Traffic(len(held), len(held) * settings["rows"] * value, settings["rows"] * value),
        to_server=Traffic.of(settings["rows"] * settings["width"] * value),
    )


WIDE = Workload(
    name="wide",
    summary="many small variables, multiplied with the batch on their servers; not updated",
    settings=(
        Setting("variables", 200, "variables, spread over the servers", 1, 5000),
        Setting("width", 8, "values in a row, and in each variable", 1, 10_000_000),
    ),
    parameters=_parameters,
    variables=_variables,
    operations=_operations,
    on_worker=_on_worker,
    exchange=_exchange,
)
