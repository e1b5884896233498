"""Where a Python file lies: in the standard library, in an installed package, or in the user's own folders. Pure.

Tools write a path in full, or relative to `sys.path` (`multiprocessing/process.py`, `train.py`).
"""

from __future__ import annotations

import re
import sys
from functools import lru_cache
from typing import NamedTuple

_INSTALLED = re.compile(r"^.*?/(?:site|dist)-packages/(?!.*/(?:site|dist)-packages/)")
_STANDARD = re.compile(r"^.*?/(?:lib(?:64)?/(?:python|pypy)[\d.]+|lib-dynload|python[\d.]+\.zip|Lib)/")
_NOT_WRITTEN = re.compile(r"^<(?!stdin>|ipython|command|cell|console|notebook)")
"""Code without a file, made by machinery. What was typed into a console or a notebook is the user's own."""
_LAUNCHERS = frozenset(
    {
        "torchrun", "accelerate", "deepspeed", "horovodrun", "ray", "vllm", "ipython", "jupyter", "pytest", "debugpy",
        "python", "python3", "coverage", "py-spy", "wandb", "sglang", "lightning", "mpiexec",
    }
)  # fmt: skip
_OFTEN_A_USERS = frozenset(
    {
        "test", "code", "profile", "trace", "cmd", "this", "token", "statistics", "calendar", "platform", "symbol",
        "parser", "operator", "types", "copy", "data", "dis", "pipes", "random", "sched", "select", "string", "struct",
        "time",
        "__main__", "__init__", "chunk", "main",
    }
)  # fmt: skip
"""Names of the standard library that people give to scripts of their own, or that are not seen on stacks."""
_ALSO_STANDARD = frozenset({"asyncore", "distutils", "imp", "asynchat", "sre_compile", "sre_parse", "dummy_threading"})
_SINGLE = frozenset(sys.stdlib_module_names | _ALSO_STANDARD) - _OFTEN_A_USERS


_MAINS = frozenset({"spawn_main", "main"})
"""Functions of multiprocessing that a child's command calls."""


def is_command(file: str, function: str, calls: str) -> bool:
    """Whether it is code of the user's that was given on the command line: `python -c`."""
    if file != "<string>":
        return False
    return calls not in _MAINS if function == "<module>" else not function.startswith("__")


class Source(NamedTuple):
    """`path`: below the root that Python imports it from, where that is told; else as written. `name`: of the file."""

    path: str
    name: str
    standard: bool
    installed: bool

    @property
    def relative(self) -> bool:
        """Whether its root is not told: a tool or a person cut it off, or it lies below the current folder."""
        return not (
            self.standard or self.installed or self.path.startswith(("/", "./", "../")) or self.path[1:2] == ":"
        )

    @property
    def package(self) -> str:
        """The top-level package or module."""
        return self.path.lstrip("/").partition("/")[0].removesuffix(".py")


@lru_cache(maxsize=1 << 16)
def source_of(file: str) -> Source:
    file = file.replace("\\", "/")
    name = file.rpartition("/")[2]
    if match := _INSTALLED.match(file):
        return Source(_RENAMED.sub("tensorflow/", file[match.end() :]), name, False, True)
    if match := _STANDARD.match(file):
        return Source(file[match.end() :], name, True, False)
    if not file or _NOT_WRITTEN.match(file) or _is_launcher(file, name):
        return Source(file, name, True, False)
    if file.startswith(("/", "./", "../")) or file[1:2] == ":":
        return Source(file, name, False, False)
    first = file.partition("/")[0]
    standard = first.removesuffix(".py") in _SINGLE if "/" not in file else first in sys.stdlib_module_names
    return Source(_RENAMED.sub("tensorflow/", file), name, standard, False)


_RENAMED = re.compile(r"^tensorflow_core/")
"""Where TensorFlow 1.15 and 2.0 keep what others keep in `tensorflow/`."""


def _is_launcher(file: str, name: str) -> bool:
    """A console script, which only calls what it was installed for."""
    return "." not in name and (name in _LAUNCHERS or file.rpartition("/")[0].endswith("/bin"))
