"""`ctr`: will this user click on this item? Embeddings over the servers, dense layers, a sigmoid loss."""

from __future__ import annotations

from repro.setting import Setting, Settings
from repro.workloads.terms import Term, term
from repro.workloads.workload import Variable, Workload, optimizer, values_of


def _parameters(settings: Settings) -> tuple[Term, ...]:
    return (
        term("embedding", "variables * vocabulary * width", settings),
        term(
            "dense layers",
            "(variables * width + 1) * hidden + (layers - 1) * (hidden + 1) * hidden",
            settings,
        ),
        term("output", "hidden + 1", settings),
    )


def _variables(settings: Settings) -> tuple[Variable, ...]:
    width, hidden = settings["width"], settings["hidden"]
    found = [
        Variable(f"{'item' if i % 2 else 'user'}{i // 2}", "embedding", (settings["vocabulary"], width),
                 looked_up=settings["rows"], partitioned=True)
        for i in range(settings["variables"])
    ]  # fmt: skip
    inputs = settings["variables"] * width
    for layer in range(settings["layers"]):
        found.append(Variable(f"dense{layer}/weight", "dense layers", (inputs, hidden)))
        found.append(Variable(f"dense{layer}/bias", "dense layers", (hidden,)))
        inputs = hidden
    found.append(Variable("output/weight", "output", (hidden, 1)))
    found.append(Variable("output/bias", "output", (1,)))
    return tuple(found)


def _operations(settings: Settings) -> Term:
    formula = "variables * (43 + 40 * ps) + 37 * layers + 116"
    return term("operations", formula, settings)


def _on_worker(settings: Settings) -> tuple[Term, ...]:
    """The looked-up rows stay for the first layer's gradient. Beside them are, at the last dense layer, the outputs
    of those before it and two gradients; or, at the end, the gradient of the looked-up rows as a whole and by table.
    """
    values = values_of(settings)
    return (
        term("input: as it is kept, row by row, as a batch", "3 * rows * (variables + 1) * id_bytes", values),
        term("packed for matmul", "slices * min(depth, hidden) * rows * value_bytes", values),
        term("looked-up rows", "rows * variables * width * value_bytes", values),
        term(
            "outputs and gradients at once",
            "rows * max((layers + 1) * hidden, 2 * variables * width) * value_bytes",
            values,
        ),
    )


CTR = Workload(
    name="ctr",
    summary="user and item embeddings partitioned over the servers, dense layers, sigmoid loss",
    settings=(
        Setting("variables", 50, "features, each with a table: by turns of the user and of the item", 1, 5000),
        Setting("vocabulary", 1000, "rows of each table", 1),
        Setting("width", 8, "values in a row of a table", 1, 100_000),
        Setting("layers", 2, "dense layers before the output", 1, 1000),
        Setting("hidden", 64, "values in a dense layer's output", 1, 1_000_000),
        optimizer("adagrad"),
    ),
    parameters=_parameters,
    variables=_variables,
    operations=_operations,
    on_worker=_on_worker,
)
