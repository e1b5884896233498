"""Formulas that show themselves: the text that is printed is the text that was computed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

_NAME = re.compile(r"[a-z_]+")
_FUNCTIONS = {"min": min, "max": max}
_SIGNS = (("**2", "²"), ("**3", "³"), ("//", "÷"), (" * ", " × "))  # noqa: RUF001


class Term(msgspec.Struct, frozen=True):
    """One summand of a plan: what it is, how it is computed, with which numbers, and what it comes to."""

    name: str
    formula: str
    numbers: str
    value: int


def term(name: str, formula: str, values: Mapping[str, Any]) -> Term:
    """Evaluate `formula`, arithmetic over the names in `values`; it is written in this package, never given.

    Args:
        name: what it is.
        formula: e.g. `"layers * (4 * width**2 + 4 * width)"`.
        values: a whole number for each name.
    """
    known = {**_FUNCTIONS, **{key: value for key, value in values.items() if not isinstance(value, str)}}
    value = int(eval(formula, {"__builtins__": {}}, known))
    with_numbers = _NAME.sub(lambda match: _number(match.group(), values), formula)
    return Term(name, _pretty(formula), _pretty(with_numbers), value)


def total(terms: tuple[Term, ...]) -> int:
    return sum(term.value for term in terms)


def _number(name: str, values: Mapping[str, Any]) -> str:
    return name if name in _FUNCTIONS else f"{int(values[name]):,}"


def _pretty(text: str) -> str:
    for sign, nicer in _SIGNS:
        text = text.replace(sign, nicer)
    return text
