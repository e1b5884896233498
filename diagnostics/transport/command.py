"""Runs one text on many hosts at the same time, through a command prefix, with a deadline. Leaves nothing running."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple

from diagnostics.errors import UsageError

AT_ONCE = 64
MAX_ANSWER = 512 << 20
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@%-]*")


class Said(NamedTuple):
    """What came back from a host; or why nothing did."""

    output: bytes
    why_not: str = ""


def argv_of(via: str, host: str) -> list[str]:
    """The command that runs a shell there.

    Raises:
        UsageError: the prefix does not say where the host goes, or the host could be taken for an option.
    """
    if "{host}" not in via:
        raise UsageError(f"--via {via!r} does not say where the host goes", "For example --via 'ssh {host}'")
    if not _HOST.fullmatch(host):
        raise UsageError(f"{host!r} is not a host's name", "Give names or addresses as the command takes them")
    try:
        words = shlex.split(via)
    except ValueError as error:
        raise UsageError(f"--via {via!r} cannot be read: {error}", "For example --via 'ssh {host}'") from None
    return [word.replace("{host}", host) for word in words] + ["sh", "-s"]


def run_on(via: str, texts: Mapping[str, bytes], deadline: float) -> dict[str, Said]:
    """host -> what it said to its text, each within `deadline` seconds."""
    commands = {host: argv_of(via, host) for host in texts}
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        said = pool.map(lambda host: _run(commands[host], texts[host], deadline), texts)
        return dict(zip(texts, said, strict=True))


def _run(argv: list[str], text: bytes, deadline: float) -> Said:
    try:
        process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
    except OSError as error:
        return Said(b"", f"{argv[0]}: {error.strerror}")
    try:
        output, errors = process.communicate(text, timeout=deadline)
    except subprocess.TimeoutExpired:
        _end(process)
        return Said(b"", f"did not answer within {deadline:.0f} s")
    except OSError:
        _end(process)
        return Said(b"", f"{argv[0]} ended before it had read the collector")
    if len(output) > MAX_ANSWER:
        return Said(b"", f"answered with more than {MAX_ANSWER >> 20} MB")
    if process.returncode and not output:
        words = [line for line in errors.decode("utf-8", "replace").splitlines() if line.strip()]
        return Said(b"", words[-1].strip() if words else f"{argv[0]} ended with {process.returncode}")
    return Said(output)


def _end(process: subprocess.Popen[bytes]) -> None:
    """The command and whatever it started, which may hold its pipes open."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
