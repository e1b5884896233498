"""Function names as people know them: demangled C++ without its arguments and without libc's inner layers."""

from __future__ import annotations

import re
from functools import lru_cache

from diagnostics.model import Frame

_SKIP = re.compile(r"^(\?\?\?|__futex_|futex_|__internal_syscall|__libc_start_call_main|_start$)")
_SKIPPED_BEGIN = ("?", "_", "f")
_VERSION = re.compile(r"@@?[A-Z_]+[\d.]*$")


@lru_cache(maxsize=65536)
def short_name(symbol: str) -> str:
    """`ns::Class<T>::method(Arg) const [clone .x]` -> `ns::Class<T>::method`.

    Lambdas keep their place: `f()::{lambda()#1}::operator()() const` -> `f()::{lambda()#1}::operator()`.
    """
    symbol = _VERSION.sub("", symbol.split(" [clone")[0]).removesuffix(" const")
    if symbol.endswith(")"):
        depth = 0
        for index in range(len(symbol) - 1, -1, -1):
            depth += {")": 1, "(": -1}.get(symbol[index], 0)
            if depth == 0:
                return symbol[:index] or symbol
    return symbol


def native_frame(symbol: str, library: str, line: int = 0) -> Frame:
    return Frame(function=short_name(symbol), file=library, line=max(line, 0), native=True)


def is_noise(frame: Frame) -> bool:
    """Whether a native frame tells nothing: libc's way from a wait down to the system call."""
    return frame.native and frame.function[:1] in _SKIPPED_BEGIN and bool(_SKIP.match(frame.function))
