"""Interpreter and framework release as one thing that a program can run in.

`ensure("tf1.12")` gives an environment with TensorFlow 1.12.0 on CPython 3.6, building it the first time.
"""

from repro.runtimes.build import Runtime, ensure, remove
from repro.runtimes.interpreters import Interpreter, clean_environment, discover, find_interpreter
from repro.runtimes.names import RuntimeSpec, known_names, parse
from repro.runtimes.pip import Progress
from repro.runtimes.status import RuntimeState, available

__all__ = [
    "Interpreter",
    "Progress",
    "Runtime",
    "RuntimeSpec",
    "RuntimeState",
    "available",
    "clean_environment",
    "discover",
    "ensure",
    "find_interpreter",
    "known_names",
    "parse",
    "remove",
]
