"""Finds CPython interpreters, and proves by running them that they are what their path says."""

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec

from diagnostics.errors import MissingError

# Last release of each branch that only gets a full number from `pyenv install`.
_PYENV_RELEASES = {"3.6": "3.6.15", "3.7": "3.7.17", "3.8": "3.8.20"}

# Runs on CPython 2.7 too, so that an old `python3` look-alike is told apart rather than crashing.
_PROBE = """
import sys, json, os, platform, sysconfig
def has(name):
    try:
        __import__(name)
    except Exception:
        return False
    return True
executable = sys.executable
if getattr(sys, "base_prefix", sys.prefix) != sys.prefix:
    executable = getattr(sys, "_base_executable", None) or os.path.realpath(executable)
print(json.dumps({
    "executable": executable,
    "version": "%d.%d.%d" % sys.version_info[:3],
    "implementation": platform.python_implementation(),
    "bits": 64 if sys.maxsize > 2 ** 32 else 32,
    "machine": platform.machine(),
    "has_venv": has("venv"),
    "has_ensurepip": has("ensurepip"),
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
}))
"""
_PROBE_SECONDS = 20.0


class Interpreter(msgspec.Struct, frozen=True):
    """A CPython that was run and answered."""

    python: Path
    """The interpreter itself, also where a shim or a virtual environment led to it."""
    version: str
    """All three numbers: `3.6.15`."""
    source: str
    """Where it was found: `PATH`, `pyenv`, `uv`, `conda`, `asdf`."""
    machine: str
    """`x86_64`, `aarch64`, ..."""
    has_ensurepip: bool
    """Without it (Debian splits it off) no virtual environment with pip can be made."""

    @property
    def minor(self) -> str:
        """`3.6`."""
        return ".".join(self.version.split(".")[:2])


class _Probe(msgspec.Struct):
    executable: str
    version: str
    implementation: str
    bits: int
    machine: str
    has_venv: bool
    has_ensurepip: bool
    free_threaded: bool


class _Candidate(msgspec.Struct, frozen=True):
    python: Path
    source: str
    minor: str = ""
    """What the path promises; empty where only running it tells."""


def clean_environment() -> dict[str, str]:
    """This process's environment without what would bend another interpreter: PYTHON*, an active venv."""
    unwanted = {"VIRTUAL_ENV", "__PYVENV_LAUNCHER__", "PYENV_VERSION"}
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTHON") and key not in unwanted}


def discover(minor: str = "") -> tuple[Interpreter, ...]:
    """All usable interpreters, or those of one minor; several of one minor come in order of preference."""
    return tuple(found for found in _probed(minor) if isinstance(found, Interpreter))


def find_interpreter(minor: str, *, pip: bool = False) -> Interpreter:
    """The preferred CPython of a minor such as `"3.6"`.

    Args:
        minor: two numbers.
        pip: it must be able to make a virtual environment with pip in it.

    Raises:
        MissingError: there is none; the hint says how to get one here.
    """
    rejected = []
    for found in _probed(minor):
        if isinstance(found, str):
            rejected.append(found)
        elif pip and not found.has_ensurepip:
            rejected.append(f"{found.python} has no ensurepip (Debian: apt install python{minor}-venv)")
        else:
            return found
    reason = f": {'; '.join(rejected)}" if rejected else ""
    raise MissingError(f"no usable CPython {minor} on this machine{reason}", how_to_get(minor))


def how_to_get(minor: str) -> str:
    """What the user does to get an interpreter, for the tools that this machine has."""
    ways = []
    if shutil.which("pyenv") or os.path.isdir(_pyenv_root()):  # False, too, where nobody else may look
        ways.append(f"pyenv install {_PYENV_RELEASES.get(minor, minor)}")
    if shutil.which("uv") and _key(minor) >= (3, 8):
        ways.append(f"uv python install {minor}")
    if shutil.which("conda") or shutil.which("mamba"):
        tool = "conda" if shutil.which("conda") else "mamba"
        ways.append(f"{tool} create -n py{minor.replace('.', '')} python={minor}")
    if not ways:
        ways.append(f"install pyenv and run: pyenv install {_PYENV_RELEASES.get(minor, minor)}")
        if _key(minor) >= (3, 8):
            ways.append(f"install uv and run: uv python install {minor}")
        else:
            ways.append(f"install conda and run: conda create -n py{minor.replace('.', '')} python={minor}")
    return "Try: " + ", or ".join(ways) + "; or use --backend docker"


def _probed(minor: str) -> Iterator[Interpreter | str]:
    """Interpreters and, as text, why a candidate of that minor is not one."""
    seen: set[Path] = set()
    for candidate in _candidates():
        if minor and candidate.minor not in ("", minor):
            continue
        if candidate.python.resolve() in seen or not os.access(candidate.python, os.X_OK):
            continue
        found = _probe(candidate)
        if isinstance(found, str):
            if candidate.minor:
                yield found
        elif (not minor or found.minor == minor) and found.python.resolve() not in seen:
            seen.add(found.python.resolve())
            yield found


def _probe(candidate: _Candidate) -> Interpreter | str:
    path = candidate.python
    try:
        done = subprocess.run(
            [str(path), "-c", _PROBE],
            env=clean_environment(),
            # Not here: a file such as json.py in the current directory would be imported.
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_PROBE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{path} does not run ({type(error).__name__})"
    if done.returncode != 0:
        return f"{path} does not run (exit code {done.returncode})"
    try:
        probe = msgspec.json.decode(done.stdout, type=_Probe)
    except msgspec.MsgspecError:
        return f"{path} is not a Python interpreter"
    if probe.implementation != "CPython":
        return f"{path} is {probe.implementation}"
    if probe.free_threaded:
        return f"{path} is a free-threaded build"
    if probe.bits != 64:
        return f"{path} is a {probe.bits}-bit build"
    if not probe.has_venv:
        minor = ".".join(probe.version.split(".")[:2])
        return f"{path} has no venv module (Debian: apt install python{minor}-venv)"
    # Not the path that was tried: a shim answers differently tomorrow, a virtual environment may be deleted.
    return Interpreter(Path(probe.executable), probe.version, candidate.source, probe.machine, probe.has_ensurepip)


def _candidates() -> Iterator[_Candidate]:
    """Possible interpreters: what the user put on PATH first, then version managers, newest patch first."""
    yield from _on_path()
    yield from _versioned(_pyenv_root() / "versions", "pyenv")
    for root in _uv_roots():
        yield from _versioned(root, "uv")
    asdf = Path(os.environ.get("ASDF_DATA_DIR") or Path.home() / ".asdf")
    yield from _versioned(asdf / "installs" / "python", "asdf")
    for environment in _conda_environments():
        yield _Candidate(environment / "bin" / "python", "conda")


def _on_path() -> Iterator[_Candidate]:
    for entry in os.environ.get("PATH", os.defpath).split(os.pathsep):
        # An empty or relative entry means the current directory, where nothing is to be run from by surprise.
        if not os.path.isabs(entry):
            continue
        try:
            names = sorted(os.listdir(entry))
        except OSError:
            continue
        for name in names:
            match = re.fullmatch(r"python(3(?:\.\d+)?)", name)
            if match:
                promised = match[1] if "." in match[1] else ""
                yield _Candidate(Path(entry, name), "PATH", promised)


def _versioned(root: Path, source: str) -> Iterator[_Candidate]:
    """Interpreters below a folder with one folder a version: `3.6.15`, `cpython-3.12.1-linux-x86_64-gnu`."""
    found = []
    try:
        for folder in root.iterdir():
            match = re.match(r"(?:cpython-)?(3\.\d+)(\.\d+)?(?![\w.])", folder.name)
            if match and not folder.is_symlink():
                minor = match[1]
                found.append((_key(minor + (match[2] or ".0")), folder.name, minor, folder))
            elif folder.is_dir() and not folder.is_symlink():
                found.append(((0,), folder.name, "", folder))
    except OSError:
        return
    for _, _, minor, folder in sorted(found, reverse=True, key=lambda row: row[:2]):
        name = f"python{minor}" if minor else "python3"
        yield _Candidate(folder / "bin" / name, source, minor)


def _pyenv_root() -> Path:
    return Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")


def _uv_roots() -> Iterator[Path]:
    configured = os.environ.get("UV_PYTHON_INSTALL_DIR")
    if configured:
        yield Path(configured)
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    yield data / "uv" / "python"


def _conda_environments() -> Iterator[Path]:
    home = Path.home()
    active = os.environ.get("CONDA_PREFIX")
    if active:
        yield Path(active)
    roots = [home / name for name in ("miniconda3", "anaconda3", "miniforge3", "mambaforge", "micromamba")]
    for root in (*roots, Path("/opt/conda"), Path("/opt/miniconda3")):
        yield root
        try:
            yield from sorted(path for path in (root / "envs").iterdir() if path.is_dir())
        except OSError:
            continue
    try:
        lines = (home / ".conda" / "environments.txt").read_text(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        if os.path.isabs(line.strip()):
            yield Path(line.strip())


def _key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def machine() -> str:
    """This machine's architecture as the interpreters name it."""
    return platform.machine()
