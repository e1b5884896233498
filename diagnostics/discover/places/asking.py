"""Asks a cluster's own command line."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping

from diagnostics.errors import MissingError

PATIENCE = 20.0


def ask(*words: str, environment: Mapping[str, str] | None = None) -> str:
    """What it says.

    Raises:
        MissingError: it is not installed, fails, or does not answer.
    """
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=PATIENCE,
            check=False, env=environment,
        )  # fmt: skip
    except FileNotFoundError:
        raise MissingError(f"{words[0]} is not installed here", "Run it where it is, or use --via") from None
    except subprocess.TimeoutExpired:
        raise MissingError(f"{words[0]} did not answer within {PATIENCE:.0f} s", "Check its controller") from None
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
        raise MissingError(f"{words[0]}: {said}", f"Try {' '.join(words[:3])}")
    return done.stdout
