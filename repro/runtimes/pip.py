"""Runs the programs that build an environment: progress, a log, and errors in the user's words."""

import errno
import os
import re
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from diagnostics.errors import LastbatchError, MissingError
from repro.runtimes.interpreters import clean_environment
from repro.runtimes.parent import ENDS_WITH_PARENT

Progress = Callable[[str], None]

# The only pip settings taken over from the environment: how to reach the packages. Others (PIP_TARGET,
# PIP_NO_DEPS, PIP_QUIET, ...) would put them elsewhere, leave some out, or hide what is going on.
_KEPT = frozenset(
    {
        "PIP_CACHE_DIR",
        "PIP_CERT",
        "PIP_CLIENT_CERT",
        "PIP_CONFIG_FILE",
        "PIP_DEFAULT_TIMEOUT",
        "PIP_EXTRA_INDEX_URL",
        "PIP_FIND_LINKS",
        "PIP_INDEX_URL",
        "PIP_KEYRING_PROVIDER",
        "PIP_NO_CACHE_DIR",
        "PIP_NO_INDEX",
        "PIP_PREFER_BINARY",
        "PIP_PROXY",
        "PIP_RETRIES",
        "PIP_TIMEOUT",
        "PIP_TRUSTED_HOST",
    }
)

_NETWORK = re.compile(
    r"NewConnectionError|ConnectTimeoutError|ReadTimeoutError|ConnectionResetError|IncompleteRead|ProxyError|SSLError"
    r"|CERTIFICATE_VERIFY_FAILED|Max retries exceeded|Failed to establish a new connection|Connection refused"
    r"|Name or service not known|Temporary failure in name resolution|Network is unreachable"
)
_NO_RELEASE = re.compile(r"No matching distribution found for (\S+)")
_DISK_FULL = re.compile(r"No space left on device|Disk quota exceeded|Errno (?:28|122)\b")
_FAILURE = re.compile(r"error|exception|could not|no matching|failed|denied|conflict|not a supported", re.IGNORECASE)
# pip's remarks on the user's own index settings; they are normal.
_NOISE = re.compile(
    r"is ignored: it is neither|^WARNING: (?:Location|Url|The directory)|You are using pip|notice\]", re.I
)
_KEPT_LINES = 400
_LAST_WORDS = 40


def pip_environment() -> dict[str, str]:
    """The environment in which pip installs exactly what it is told into the environment that it runs in."""
    env = {key: value for key, value in clean_environment().items() if not key.startswith("PIP_") or key in _KEPT}
    env["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    env["PIP_NO_INPUT"] = "1"
    # A `user = true` in pip's configuration file fails in a virtual environment.
    env["PIP_USER"] = "0"
    # Progress is read from these messages.
    env["LC_ALL"] = "C.UTF-8"
    return env


def run(
    command: Sequence[str | Path],
    *,
    log: Path,
    progress: Progress,
    held: Sequence[int] = (),
    cwd: Path,
    constraints: str = "",
) -> None:
    """Runs one step of a build to its end, its output going to `log` (appended).

    Args:
        command: an absolute path and its arguments.
        log: file for all output.
        progress: told which packages pip fetches and installs.
        held: file descriptors that the child keeps open, such as a lock.
        cwd: where it runs.
        constraints: name of a constraints file in `cwd`. It replaces one of the user's pip configuration,
            which speaks of other interpreters and other years.

    Raises:
        MissingError: no way to the package index, or no space left.
        LastbatchError: anything else, with the last telling lines and where the log is.
    """
    env = pip_environment()
    if constraints:
        env["PIP_CONSTRAINT"] = constraints
    launcher = [sys.executable, "-I", "-c", ENDS_WITH_PARENT, str(os.getpid())]
    tail: deque[str] = deque(maxlen=_KEPT_LINES)
    with log.open("a", encoding="utf-8") as file:
        file.write("$ " + " ".join(map(str, command)) + "\n")
        file.flush()
        process = subprocess.Popen(
            [*launcher, *map(str, command)],
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            pass_fds=tuple(held),
            # A group of its own: what it starts (source builds) ends with it, and only we see Ctrl-C.
            start_new_session=True,
        )
        try:
            assert process.stdout is not None
            _follow(process.stdout, file, tail, progress)
            code = process.wait()
        except BaseException:
            _end(process)
            raise
    if code != 0:
        raise failure(list(tail), code, log)


def _follow(lines: IO[str], file: IO[str], tail: deque[str], progress: Progress) -> None:
    for line in lines:
        file.write(line)
        file.flush()
        text = line.strip()
        if text and not _NOISE.search(text):
            tail.append(text)
        stage = stage_of(text)
        if stage:
            progress(stage)


def stage_of(line: str) -> str:
    """What a line of pip's output means for someone who waits; empty where it is of no interest."""
    match = re.match(r"Collecting ([\w.\-]+)", line)
    if match:
        return f"collecting {match[1]}"
    match = re.match(r"Downloading (?:\S*/)?([\w.+\-]+\.(?:whl|tar\.gz|zip))(?: \(([^)]+)\))?", line)
    if match:
        size = f" ({match[2]})" if match[2] else ""
        return f"downloading {match[1].split('-')[0]}{size}"
    match = re.match(r"Building wheel for ([\w.\-]+)", line)
    if match:
        return f"building {match[1]}"
    match = re.match(r"Installing collected packages: (.+)", line)
    if match:
        count = len(match[1].split(","))
        return f"unpacking {count} package{'s' if count != 1 else ''}"
    return ""


def failure(lines: Sequence[str], code: int, log: Path) -> LastbatchError:
    """The error that a failed step's output amounts to."""
    text = "\n".join(lines)
    if _DISK_FULL.search(text):
        return disk_full(log.parent)
    missing = _NO_RELEASE.search(text)
    # Only near the end: pip also tells of failures that it has got over by trying again.
    if _NETWORK.search("\n".join(lines[-_LAST_WORDS:])):
        return MissingError(
            "cannot reach the package index",
            f"Check the network, a proxy or pip's index settings (log: {log})",
        )
    if missing:
        # With retries switched off, pip does not say that it could not connect, only that it saw no release.
        unreachable = "cannot be reached, or " if "from versions: none" in text else ""
        return MissingError(
            f"the package index {unreachable}has no {missing[1]} for this interpreter and machine",
            f"Check the network and pip's index settings (log: {log})",
        )
    telling = [line for line in lines if _FAILURE.search(line)][-3:] or list(lines)[-3:]
    ending = f"signal {-code}" if code < 0 else f"exit code {code}"
    shown = " | ".join(line[:200] for line in telling)
    return LastbatchError(f"the installation failed ({ending}): {shown}", f"All output is in {log}")


def disk_full(directory: Path) -> MissingError:
    """No space left where runtimes are kept."""
    return MissingError(
        f"no space left on device while writing to {directory} (or to the temporary directory)",
        "Free some, remove a runtime, or point LASTBATCH_CACHE (or TMPDIR) to a larger disk",
    )


def os_failure(error: OSError, directory: Path) -> MissingError:
    """What an error of the file system means to the user."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(directory)
    return MissingError(
        f"cannot write to {directory} ({error.strerror or error})",
        "Point LASTBATCH_CACHE to a directory that is yours",
    )


def _end(process: "subprocess.Popen[str]") -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
