"""`transformer`: a GPT. The output shares the token embedding's weights, as GPT-2's does."""

from __future__ import annotations

from repro.setting import Setting, Settings
from repro.workloads.terms import Term, term
from repro.workloads.workload import Variable, Workload, optimizer, values_of

KNOWN = {
    "gpt2": {"layers": 12, "heads": 12, "width": 768, "vocabulary": 50257, "sequence": 1024},
    "gpt2-medium": {"layers": 24, "heads": 16, "width": 1024, "vocabulary": 50257, "sequence": 1024},
    "gpt2-large": {"layers": 36, "heads": 20, "width": 1280, "vocabulary": 50257, "sequence": 1024},
    "gpt2-xl": {"layers": 48, "heads": 25, "width": 1600, "vocabulary": 50257, "sequence": 1024},
    "gpt3": {"layers": 96, "heads": 96, "width": 12288, "vocabulary": 50257, "sequence": 2048},
}
"""Published models by their settings: Radford et al. 2019, table 2; Brown et al. 2020, table 2.1."""


def _parameters(settings: Settings) -> tuple[Term, ...]:
    return (
        term("embedding", "vocabulary * width + sequence * width", settings),
        term("attention", "layers * (4 * width**2 + 4 * width)", settings),
        term("feed-forward", "layers * (8 * width**2 + 5 * width)", settings),
        term("norms", "layers * 4 * width + 2 * width", settings),
        term("output (shares the embedding)", "0", settings),
    )


def _variables(settings: Settings) -> tuple[Variable, ...]:
    width = settings["width"]
    found = [
        Variable("tokens", "embedding", (settings["vocabulary"], width)),
        Variable("positions", "embedding", (settings["sequence"], width)),
    ]
    for layer in range(settings["layers"]):
        found += [
            Variable(f"layer{layer}/{name}", part, shape)
            for part, name, shape in (
                ("norms", "norm1/scale", (width,)),
                ("norms", "norm1/offset", (width,)),
                ("attention", "qkv/weight", (width, 3 * width)),
                ("attention", "qkv/bias", (3 * width,)),
                ("attention", "mixed/weight", (width, width)),
                ("attention", "mixed/bias", (width,)),
                ("norms", "norm2/scale", (width,)),
                ("norms", "norm2/offset", (width,)),
                ("feed-forward", "wide/weight", (width, 4 * width)),
                ("feed-forward", "wide/bias", (4 * width,)),
                ("feed-forward", "narrow/weight", (4 * width, width)),
                ("feed-forward", "narrow/bias", (width,)),
            )
        ]
    found += [Variable("norm/scale", "norms", (width,)), Variable("norm/offset", "norms", (width,))]
    return tuple(found)


def _operations(settings: Settings) -> Term:
    return term("operations", "570 * layers + 280", settings)


def _on_worker(settings: Settings) -> tuple[Term, ...]:
    """What a layer keeps for its gradients, in widths a token: each of two norms its centred, normal and
    scaled input (3), attention q, k, v, the scaled q and the mixed values (5), feed-forward the GELU's input,
    gate and output (3 times 4); besides the softmax of every pair of positions, in every head.

    It is fullest at the gradient of the output's weights, where the scores of the whole vocabulary are packed.
    """
    values = {
        **values_of(settings),
        "tokens": settings["rows"] * settings["sequence"],
        "kept": 1 if settings["recompute"] else settings["layers"],
    }
    found = [
        term("layers", "kept * tokens * 23 * width * value_bytes", values),
        term(
            "attention (quadratic in the sequence)",
            "kept * rows * heads * sequence**2 * value_bytes",
            values,
        ),
        term("packed for matmul", "slices * min(depth, tokens) * (vocabulary + width) * value_bytes", values),
        term("embedding and last norm", "4 * tokens * width * value_bytes", values),
        # The loss's gradient takes the scores' place; once they are gone the last layer's gradients need room.
        term("output", "tokens * max(vocabulary, 16 * width) * value_bytes", values),
        term("gradient of the output's weights", "vocabulary * width * value_bytes", values),
    ]
    if settings["recompute"]:
        found.append(term("inputs of the layers", "layers * tokens * width * value_bytes", values))
    return tuple(found)


TRANSFORMER = Workload(
    name="transformer",
    summary="a GPT: decoder layers with causal attention, next-token loss",
    settings=(
        Setting("layers", 2, "decoder layers", 1, 10_000),
        Setting("heads", 2, "attention heads a layer; the width is a multiple of it", 1, 10_000),
        Setting("width", 64, "values of a token", 1, 1_000_000),
        Setting("vocabulary", 1000, "tokens that there are", 2, 10_000_000),
        Setting("sequence", 32, "tokens of a row", 2, 10_000_000),
        optimizer("adam"),
    ),
    parameters=_parameters,
    variables=_variables,
    operations=_operations,
    on_worker=_on_worker,
)
