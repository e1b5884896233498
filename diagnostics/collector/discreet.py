"""Secrets out of what is told, before it leaves this host. CPython 3.6, the standard library alone."""

from functools import lru_cache
from typing import Any

_COMMANDS = ("command",)
_OURS = ("stacks", "beside")
"""Symbols, files, devices and lines of the kernel, which hold no text of the job's."""


def redacted(value: Any, name: str = "") -> Any:
    """The same with every text in it redacted."""
    # Its patterns take a while to compile, and on this machine nothing of it is needed.
    from diagnostics.redaction.text import redact_command, redact_lines

    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        return {key: item if key in _OURS else redacted(item, key) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        if value and all(isinstance(item, str) for item in value):
            return list(redact_command(value) if name in _COMMANDS else redact_lines(value))
        return [redacted(item, name) for item in value]
    return value


@lru_cache(maxsize=1 << 14)
def _text(value: str) -> str:
    """Names of threads and the like come again and again."""
    from diagnostics.redaction.text import redact_text

    return redact_text(value)
