"""Where runtimes are kept: one directory each, complete only with its marker, changed only under its lock."""

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import platformdirs

from diagnostics.errors import MissingError

_MARKER = "ready.json"
_MARKER_LIMIT = 64 * 1024
_POLL_SECONDS = 0.1


class Marker(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Written last: its presence says that the environment is whole."""

    release: str
    python_version: str
    base_python: str
    framework: str
    framework_version: str
    recipe: str
    """Digest of what was to be installed; another digest means another environment."""
    seconds: float
    """How long building took."""
    size: int
    """Bytes on disk."""


def root() -> Path:
    """The directory of all runtimes: below $LASTBATCH_CACHE, or the user's cache directory."""
    configured = os.environ.get("LASTBATCH_CACHE")
    base = Path(configured).expanduser().absolute() if configured else Path(platformdirs.user_cache_dir("lastbatch"))
    return base / "runtimes"


def read_marker(directory: Path) -> Marker | None:
    """The marker of a complete runtime; None where it is missing or not what it should be."""
    try:
        with (directory / _MARKER).open("rb") as file:
            return msgspec.json.decode(file.read(_MARKER_LIMIT), type=Marker)
    except (OSError, msgspec.MsgspecError):
        return None


def write_marker(directory: Path, marker: Marker) -> None:
    """Makes the runtime complete, in one step: a reader sees no marker or all of it."""
    descriptor, name = tempfile.mkstemp(dir=directory, prefix=_MARKER)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(marker))
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, directory / _MARKER)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def clear(directory: Path, *, keep: str = "") -> None:
    """Removes a runtime's directory, the marker first, so that half a removal never looks complete.

    Args:
        directory: the runtime's own; may be missing.
        keep: name of one file in it that stays.

    Raises:
        OSError: something could not be removed.
    """
    (directory / _MARKER).unlink(missing_ok=True)
    if not directory.is_dir():
        return
    if not keep:
        _remove_tree(directory)
        return
    for path in directory.iterdir():
        if path.name == keep:
            continue
        if path.is_dir() and not path.is_symlink():
            _remove_tree(path)
        else:
            path.unlink(missing_ok=True)


def _remove_tree(directory: Path) -> None:
    def make_writable(function: Callable[..., Any], path: str, _: Any) -> None:
        # Some packages unpack read-only directories.
        parent = os.path.dirname(path)
        os.chmod(parent, os.stat(parent).st_mode | stat.S_IRWXU)
        with contextlib.suppress(FileNotFoundError):
            function(path)

    shutil.rmtree(directory, onerror=make_writable)


def size_of(directory: Path) -> int:
    """Bytes that a directory's files take on disk."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_blocks * 512
    return total


@contextlib.contextmanager
def lock(release: str, waiting: Callable[[], None], timeout: float | None = None) -> Iterator[int]:
    """The right to change one runtime, for one process at a time; yields the lock's file descriptor.

    A child that inherits the descriptor keeps the lock after this process has been killed, so nobody builds
    over a pip that is still writing. (Hence a bare flock: filelock does not hand out its descriptor.)

    Args:
        release: the runtime.
        waiting: called once if another process holds the lock.
        timeout: seconds to wait for it; None for as long as it takes.

    Raises:
        MissingError: not available within `timeout`.
        OSError: the lock file cannot be made.
    """
    directory = root() / ".locks"
    directory.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(directory / f"{release}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        started = time.monotonic()
        told = False
        while not _try_lock(descriptor):
            if timeout is not None and time.monotonic() - started >= timeout:
                raise MissingError(
                    f"runtime {release} is in use by another lastbatch", "Try again when it has finished"
                )
            if not told:
                waiting()
                told = True
            time.sleep(_POLL_SECONDS)
        yield descriptor
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
