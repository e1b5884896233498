"""Runs one script on many hosts at the same time, through a command prefix, with a deadline. Leaves nothing running."""

from __future__ import annotations

import os
import re
import select
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple

from diagnostics.errors import UsageError
from diagnostics.transport.program import READY, Script
from diagnostics.transport.shell_answers import MARK as NO_PYTHON

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


def run_on(via: str, scripts: Mapping[str, Script], deadline: float) -> dict[str, Said]:
    """host -> what it said to its script, each within `deadline` seconds."""
    commands = {host: argv_of(via, host) for host in scripts}
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        said = pool.map(lambda host: _run(commands[host], scripts[host], deadline), scripts)
        return dict(zip(scripts, said, strict=True))


def _run(argv: list[str], script: Script, deadline: float) -> Said:
    until = time.monotonic() + deadline
    try:
        process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
            start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        return Said(b"", f"{argv[0]}: {error.strerror}")
    try:
        head = _asked_for_more(process, script.shell, until)
        rest = script.rest if READY in head else b""
        output, errors = process.communicate(rest, timeout=max(0.1, until - time.monotonic()))
    except subprocess.TimeoutExpired as late:
        _end(process)
        # What it has told until then counts.
        told = late.output or b""
        return Said(told, "" if told else f"did not answer within {deadline:.0f} s")
    except OSError:
        _end(process)
        return Said(b"", f"{argv[0]} ended before it had read the collector")
    output = head.partition(READY)[2] + output if READY in head else head + output
    if len(output) > MAX_ANSWER:
        return Said(b"", f"answered with more than {MAX_ANSWER >> 20} MB")
    if process.returncode and not output:
        words = [line for line in errors.decode("utf-8", "replace").splitlines() if line.strip()]
        return Said(b"", words[-1].strip() if words else f"{argv[0]} ended with {process.returncode}")
    return Said(output)


def _asked_for_more(process: subprocess.Popen[bytes], shell: bytes, until: float) -> bytes:
    """What it says to its commands, up to where it waits for the rest or needs none.

    Raises:
        TimeoutExpired: it says nothing.
    """
    assert process.stdin and process.stdout
    process.stdin.write(shell)
    head = b""
    while READY not in head and NO_PYTHON not in head:
        left = until - time.monotonic()
        if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
            raise subprocess.TimeoutExpired(process.args, 0.0)
        piece = os.read(process.stdout.fileno(), 1 << 16)
        if not piece:
            break
        head += piece
    return head


def _end(process: subprocess.Popen[bytes]) -> None:
    """The command and whatever it started, which may hold its pipes open."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
