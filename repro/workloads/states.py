"""What training keeps for each parameter: by optimizer and by precision."""

from __future__ import annotations

import msgspec

SLOTS = {"sgd": 0, "momentum": 1, "adagrad": 1, "adam": 2}
"""Values kept beside each parameter: momentum's velocity, Adagrad's sum of squares, Adam's two moments."""


class Precision(msgspec.Struct, frozen=True):
    """Bytes of one value of each kind. `master` is the float32 copy that mixed training updates."""

    parameter: int
    gradient: int
    slot: int
    activation: int
    master: int = 0


PRECISIONS = {
    "float32": Precision(parameter=4, gradient=4, slot=4, activation=4),
    "float16": Precision(parameter=2, gradient=2, slot=2, activation=2),
    # Micikevicius et al. 2018, Mixed Precision Training; the 16 bytes a parameter with Adam are those that
    # Rajbhandari et al. 2020, ZeRO, section 3.1, counts.
    "mixed": Precision(parameter=2, gradient=2, slot=4, activation=2, master=4),
}
