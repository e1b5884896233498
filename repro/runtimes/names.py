"""Names of runtimes: what a user may type, and the framework release and interpreters it stands for."""

import difflib
import re
from typing import Literal

import msgspec

from diagnostics.errors import UsageError

Framework = Literal["tensorflow", "torch", "jax", ""]

# They stay put: a rate measured on "tf1.12" must mean the same next year.
ALIASES = {
    "tf1.4": "1.4.1",
    "tf1.8": "1.8.0",
    "tf1.12": "1.12.0",
    "tf1.13": "1.13.2",
    "tf1.15": "1.15.5",
    "tf2": "2.21.0",
}
TORCH_DEFAULT = "2.13.0"
JAX_DEFAULT = "0.10.2"

# Releases with Linux wheels for CPython 3.6 and later, oldest first: the minor, and a digit for each patch.
_PATCHES = (
    ("1.4", "01"),
    ("1.5", "01"),
    ("1.6", "0"),
    ("1.7", "01"),
    ("1.8", "0"),
    ("1.9", "0"),
    ("1.10", "01"),
    ("1.11", "0"),
    ("1.12", "023"),
    ("1.13", "12"),
    ("1.14", "0"),
    ("1.15", "02345"),
    ("2.0", "01234"),
    ("2.1", "01234"),
    ("2.2", "0123"),
    ("2.3", "01234"),
    ("2.4", "01234"),
    ("2.5", "0123"),
    ("2.6", "012345"),
    ("2.7", "01234"),
    ("2.8", "01234"),
    ("2.9", "0123"),
    ("2.10", "01"),
    ("2.11", "01"),
    ("2.12", "01"),
    ("2.13", "01"),
    ("2.14", "01"),
    ("2.15", "01"),
    ("2.16", "12"),
    ("2.17", "01"),
    ("2.18", "01"),
    ("2.19", "01"),
    ("2.20", "0"),
    ("2.21", "0"),
)
TENSORFLOW_RELEASES = tuple(f"{minor}.{patch}" for minor, patches in _PATCHES for patch in patches)

# Release ranges (first, last minor) and the CPython minors with wheels, the preferred one first.
_TENSORFLOW_PYTHONS: tuple[tuple[tuple[int, int], tuple[int, int], tuple[str, ...]], ...] = (
    ((1, 4), (1, 12), ("3.6",)),
    ((1, 13), (1, 15), ("3.7", "3.6")),
    ((2, 0), (2, 1), ("3.7",)),
    ((2, 2), (2, 4), ("3.7", "3.8")),
    ((2, 5), (2, 6), ("3.7", "3.9", "3.8")),
    ((2, 7), (2, 7), ("3.9", "3.8", "3.7")),
    ((2, 8), (2, 10), ("3.10", "3.9", "3.8", "3.7")),
    ((2, 11), (2, 11), ("3.10", "3.9", "3.8", "3.7")),
    ((2, 12), (2, 13), ("3.11", "3.10", "3.9", "3.8")),
    ((2, 14), (2, 15), ("3.11", "3.10", "3.9")),
    ((2, 16), (2, 19), ("3.11", "3.12", "3.10", "3.9")),
    ((2, 20), (2, 20), ("3.11", "3.12", "3.13", "3.10", "3.9")),
    ((2, 21), (2, 999), ("3.11", "3.12", "3.13", "3.10")),
)
_TORCH_PYTHONS = ("3.11", "3.10", "3.12", "3.13")
_JAX_PYTHONS = ("3.11", "3.12", "3.13")
_OLDEST_PYTHON, _NEWEST_PYTHON = 6, 14

_NAME = re.compile(r"(tf|tensorflow|torch|pytorch|jax|py|python)[-=]*(\d+(?:\.\d+){0,2})?")


class RuntimeSpec(msgspec.Struct, frozen=True):
    """What a runtime's name stands for."""

    name: str
    """As the user calls it, in lower case: `tf1.12`."""
    release: str
    """The one name of this runtime, whatever alias was used: `tf1.12.0`, `torch2.13.0`, `py3.11`."""
    framework: Framework
    framework_version: str
    """Empty for an interpreter alone."""
    pythons: tuple[str, ...]
    """CPython minors that have wheels of this release, the preferred one first."""


def numbers(version: str) -> tuple[int, ...]:
    """`"1.12.0"` as `(1, 12, 0)`, for comparing."""
    return tuple(int(part) for part in version.split("."))


def release_numbers(framework_version: str) -> tuple[int, ...]:
    """A runtime's release for comparing, without what is no number: `"2.13.0+cpu"` as `(2, 13)`, `""` as `()`."""
    return tuple(int(part) for part in framework_version.split(".")[:3] if part.isdigit())


def known_names() -> tuple[str, ...]:
    """Every name worth suggesting: aliases, minors and exact releases."""
    minors = dict.fromkeys("tf" + ".".join(release.split(".")[:2]) for release in TENSORFLOW_RELEASES)
    exact = tuple("tf" + release for release in TENSORFLOW_RELEASES)
    pythons = tuple(f"py3.{minor}" for minor in range(_OLDEST_PYTHON, _NEWEST_PYTHON + 1))
    return tuple(dict.fromkeys((*ALIASES, *minors, *exact, "torch", f"torch{TORCH_DEFAULT}", "jax", *pythons)))


def parse(name: str) -> RuntimeSpec:
    """The runtime that `name` stands for: `tf1.12`, `tf1.12.3`, `tf2`, `torch`, `torch2.13.0`, `jax`, `py3.11`.

    A minor name without an alias (`tf1.9`) is its newest known patch release.

    Raises:
        UsageError: no such runtime; the hint lists near matches.
    """
    given = name.strip().lower()
    match = _NAME.fullmatch(given)
    if match is None:
        raise _unknown(name)
    kind, version = match[1], match[2] or ""
    spec: RuntimeSpec | None
    if kind in ("tf", "tensorflow"):
        spec = _tensorflow("tf" + version, version)
    elif kind in ("torch", "pytorch"):
        spec = _torch("torch" + version, version)
    elif kind == "jax":
        spec = _jax("jax" + version, version)
    else:
        spec = _python("py" + version, version)
    if spec is None:
        raise _unknown(name)
    return spec


def _tensorflow(name: str, version: str) -> RuntimeSpec | None:
    release = ALIASES.get(name, version)
    if not release:
        return None
    parts = numbers(release)
    if len(parts) < 3:
        patches = [known for known in TENSORFLOW_RELEASES if numbers(known)[: len(parts)] == parts]
        # "tf1" could mean anything between 1.4 and 1.15, whose behaviour differs: better to ask.
        if not patches or len(parts) < 2:
            return None
        release = patches[-1]
    elif release not in TENSORFLOW_RELEASES and not _is_newer(parts):
        return None
    minor = numbers(release)[:2]
    for first, last, pythons in _TENSORFLOW_PYTHONS:
        if first <= minor <= last:
            return RuntimeSpec(name, "tf" + release, "tensorflow", release, pythons)
    return None


def _is_newer(parts: tuple[int, ...]) -> bool:
    """Released after this table was made; the index will know."""
    newest = numbers(TENSORFLOW_RELEASES[-1])
    return parts[0] == newest[0] and newest < parts < (newest[0], 1000)


def _torch(name: str, version: str) -> RuntimeSpec | None:
    release = version or TORCH_DEFAULT
    parts = numbers(release)
    if len(parts) == 1 and release == TORCH_DEFAULT.split(".")[0]:
        release = TORCH_DEFAULT
    elif len(parts) == 2:
        release += ".0"
    elif len(parts) != 3:
        return None
    if numbers(release) < (2, 0, 0):
        return None
    return RuntimeSpec(name, "torch" + release, "torch", release, _TORCH_PYTHONS)


def _jax(name: str, version: str) -> RuntimeSpec | None:
    release = version or JAX_DEFAULT
    if len(numbers(release)) != 3:
        return None
    return RuntimeSpec(name, "jax" + release, "jax", release, _JAX_PYTHONS)


def _python(name: str, version: str) -> RuntimeSpec | None:
    parts = numbers(version) if version else ()
    if len(parts) != 2 or parts[0] != 3 or not _OLDEST_PYTHON <= parts[1] <= _NEWEST_PYTHON:
        return None
    minor = f"3.{parts[1]}"
    return RuntimeSpec(name, "py" + minor, "", "", (minor,))


def _unknown(name: str) -> UsageError:
    names = known_names()
    near = difflib.get_close_matches(name.strip().lower(), names, n=4, cutoff=0.5)
    if near:
        return UsageError(f"unknown runtime {name!r}", f"Near matches: {', '.join(near)}")
    examples = ", ".join((*ALIASES, "torch", "jax", "py3.11"))
    return UsageError(f"unknown runtime {name!r}", f"Known are {examples}, and exact releases such as tf1.12.3")
