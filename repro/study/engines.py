"""The engines by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from diagnostics.errors import MissingError, UsageError
from repro.study.engine import Engine, LocalEngine


@contextmanager
def engine_for(name: str, cores: int, address: str | None) -> Iterator[Engine]:
    """Raises: UsageError: no such engine. MissingError: Ray is not installed."""
    if name == "local":
        with LocalEngine(cores) as engine:
            yield engine
    elif name == "ray":
        try:
            from repro.study.ray_engine import RayEngine
        except ImportError:
            raise MissingError("Ray is not installed", "pip install 'lastbatch[ray]'") from None
        with RayEngine(cores, address) as ray_engine:
            yield ray_engine
    else:
        raise UsageError(f"no engine {name!r}", "There are local and ray")
