"""Makes a runtime's environment, once, and hands it out from then on."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import msgspec

from diagnostics.errors import LastbatchError, MissingError
from repro.runtimes import cache, pip
from repro.runtimes.interpreters import Interpreter, clean_environment, find_interpreter, machine
from repro.runtimes.names import RuntimeSpec, numbers, parse
from repro.runtimes.pins import Recipe, recipe

_LOG = "install.log"
_CONSTRAINTS = "constraints.txt"
# First imports of a large framework compile thousands of files, on a busy machine.
_IMPORT_SECONDS = 600.0
# Room beyond the environment itself: the downloaded wheels, which pip unpacks from the temporary directory.
_SPARE_MEGABYTES = 300

# Its last line is the answer; frameworks print warnings before it.
_IMPORT = "import {module} as m; print(); print('version=' + m.__version__)"


class Runtime(msgspec.Struct, frozen=True):
    """An environment that is ready to run programs."""

    name: str
    """As asked for: `tf1.12`."""
    python: Path
    """The environment's interpreter."""
    python_version: str
    """`3.6.15`."""
    framework: str
    """`tensorflow`, `torch`, `jax`, or empty."""
    framework_version: str
    """As the framework itself says; empty without one."""
    directory: Path
    """Holds the environment (`venv`), the log of its installation, and its marker."""


def ensure(name: str, progress: pip.Progress | None = None) -> Runtime:
    """A runtime by name, built if it is not there yet: 10 s to 2 min, 0.3 to 2 GB.

    Any number of processes may ask for the same one at once: one builds, the others wait. If the build is
    interrupted or killed, nothing that looks complete is left, and the next call starts anew.

    Args:
        name: `tf1.12`, `tf1.12.3`, `tf2`, `torch`, `jax`, `py3.11`, ...
        progress: told what is going on, one short line each, for instance
            `installing tensorflow 1.12.0 (about 500 MB)`.

    Raises:
        UsageError: no such runtime.
        MissingError: no interpreter for it here, no network, no disk space; the hint says what to do.
        LastbatchError: the installation failed otherwise; the message names the log file.
    """
    report = progress or _silent
    spec = parse(name)
    directory = cache.root() / spec.release
    ready = find_ready(spec)
    if ready is not None:
        return ready
    interpreter = choose_interpreter(spec)
    try:
        with cache.lock(
            spec.release, waiting=lambda: report(f"waiting for another process that makes {spec.release}")
        ) as held:
            # Whoever held the lock before may have built it.
            return find_ready(spec) or _build(spec, interpreter, directory, report, held)
    except OSError as error:
        raise pip.os_failure(error, directory) from error


def remove(name: str) -> bool:
    """Removes a runtime from the cache, also a half-built one; False if there was none.

    Raises:
        UsageError: no such runtime.
        MissingError: another process is building it, or its files cannot be removed.
    """
    spec = parse(name)
    directory = cache.root() / spec.release
    if not directory.exists():
        return False
    try:
        with cache.lock(spec.release, waiting=lambda: None, timeout=0.0):
            existed = directory.exists()
            cache.clear(directory)
            return existed
    except OSError as error:
        raise pip.os_failure(error, directory) from error


def find_ready(spec: RuntimeSpec) -> Runtime | None:
    """The runtime if it is complete, up to date with its pins, and its interpreter still exists."""
    directory = cache.root() / spec.release
    marker = cache.read_marker(directory)
    if marker is None or marker.release != spec.release:
        return None
    minor = ".".join(marker.python_version.split(".")[:2])
    # The environment's python is a link: it dangles when the interpreter has been uninstalled.
    if minor not in spec.pythons or marker.recipe != _digest(recipe(spec, minor, machine())):
        return None
    python = _python(directory)
    if not os.access(python, os.X_OK):
        return None
    return Runtime(spec.name, python, marker.python_version, marker.framework, marker.framework_version, directory)


def choose_interpreter(spec: RuntimeSpec) -> Interpreter:
    """The interpreter to build a runtime with.

    Raises:
        MissingError: none of the minors that have wheels is here, or there are none for this machine.
    """
    if spec.framework == "tensorflow" and machine() != "x86_64" and numbers(spec.framework_version) < (2, 10, 0):
        raise MissingError(
            f"{spec.release} has no wheels for {machine()}",
            "Take an x86_64 machine, or tf2 for current scenarios",
        )
    first: MissingError | None = None
    for minor in spec.pythons:
        try:
            return find_interpreter(minor, pip=bool(spec.framework))
        except MissingError as error:
            first = first or error
    assert first is not None
    others = ", ".join(spec.pythons[1:])
    also = f" (CPython {others} would do as well)" if others else ""
    raise MissingError(f"{spec.name} needs CPython {spec.pythons[0]}{also}: {first.message}", first.hint)


def _build(spec: RuntimeSpec, interpreter: Interpreter, directory: Path, report: pip.Progress, held: int) -> Runtime:
    started = time.monotonic()
    plan = recipe(spec, interpreter.minor, machine())
    cache.clear(directory)
    directory.mkdir(parents=True, exist_ok=True)
    try:
        if plan is not None:
            _check_space(directory, plan)
        version = _install(spec, interpreter, plan, directory, report, held)
        seconds = round(time.monotonic() - started, 1)
        marker = cache.Marker(
            release=spec.release,
            python_version=interpreter.version,
            base_python=str(interpreter.python),
            framework=spec.framework,
            framework_version=version,
            recipe=_digest(plan),
            seconds=seconds,
            size=cache.size_of(directory),
        )
        cache.write_marker(directory, marker)
    except (LastbatchError, OSError):
        # The log is what the user needs now. Without a marker the directory counts for nothing.
        cache.clear(directory, keep=_LOG)
        raise
    except BaseException:
        cache.clear(directory)
        raise
    report(f"{spec.release} is ready after {seconds:.0f} s")
    return Runtime(spec.name, _python(directory), interpreter.version, spec.framework, version, directory)


def _install(
    spec: RuntimeSpec,
    interpreter: Interpreter,
    plan: Recipe | None,
    directory: Path,
    report: pip.Progress,
    held: int,
) -> str:
    """Builds the environment in its final place, as one cannot be moved; returns the framework's version."""
    log = directory / _LOG
    report(f"making an environment with CPython {interpreter.version}")
    make: list[str | Path] = [interpreter.python, "-I", "-m", "venv"]
    if plan is None:
        make.append("--without-pip")
    pip.run([*make, directory / "venv"], log=log, progress=report, held=(held,), cwd=directory)
    if plan is None:
        return ""
    install: list[str | Path] = [_python(directory), "-I", "-m", "pip", "install"]
    if plan.bootstrap:
        report(f"upgrading pip of CPython {interpreter.version}")
        pip.run([*install, *plan.bootstrap], log=log, progress=_silent, held=(held,), cwd=directory)
    # Found by its name alone: pip splits the setting at spaces, which a path may have.
    (directory / _CONSTRAINTS).write_text("\n".join(plan.constraints) + "\n", encoding="utf-8")
    about = f" (about {plan.megabytes} MB)" if plan.megabytes else ""
    report(f"installing {spec.framework} {spec.framework_version}{about}")
    pip.run(
        [*install, plan.requirement, *plan.extras],
        log=log,
        progress=report,
        held=(held,),
        cwd=directory,
        constraints=_CONSTRAINTS,
    )
    report(f"importing {spec.framework}")
    return _import(spec, plan, directory)


def _import(spec: RuntimeSpec, plan: Recipe, directory: Path) -> str:
    """Imports the framework, as only that shows that the environment works; returns the version it states."""
    log = directory / _LOG
    try:
        done = subprocess.run(
            [str(_python(directory)), "-I", "-c", _IMPORT.format(module=plan.module)],
            env=clean_environment(),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=_IMPORT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise LastbatchError(
            f"{spec.release} was installed, but importing it took over {_IMPORT_SECONDS:.0f} s", f"See {log}"
        ) from error
    with log.open("a", encoding="utf-8") as file:
        file.write(done.stdout)
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    if done.returncode == -4 or ("AVX" in done.stdout and done.returncode < 0):
        raise MissingError(
            f"{spec.release} was installed, but this CPU lacks instructions (AVX) that it was compiled for",
            "Take another machine, or a release before 1.6",
        )
    if done.returncode != 0 or not lines or not lines[-1].startswith("version="):
        last = lines[-1][:300] if lines else f"exit code {done.returncode}"
        raise LastbatchError(f"{spec.release} was installed, but cannot be imported: {last}", f"See {log}")
    version = lines[-1].removeprefix("version=")
    if version.split("+")[0] != spec.framework_version:
        raise LastbatchError(
            f"asked for {spec.framework} {spec.framework_version}, but it says that it is {version}",
            f"See {log}",
        )
    return version


def _check_space(directory: Path, plan: Recipe) -> None:
    free = shutil.disk_usage(directory).free
    needed = (plan.megabytes + _SPARE_MEGABYTES) * 10**6
    if free < needed:
        raise MissingError(
            f"{plan.requirement} needs about {needed / 1e9:.1f} GB, {directory} has {free / 1e9:.1f} GB free",
            "Free some, remove a runtime, or point LASTBATCH_CACHE to a larger disk",
        )


def _python(directory: Path) -> Path:
    return directory / "venv" / "bin" / "python"


def _digest(plan: Recipe | None) -> str:
    return plan.digest() if plan is not None else "interpreter alone"


def _silent(_: str) -> None:
    return None
