"""Rows of the symbol tables: which frames a row is about, and what they say of their thread. Pure.

A table is a module in `diagnostics.stacks.symbols` with

- `SYMBOLS`: its rows;
- `PACKAGES`: top-level Python packages whose code is the library's, not the user's (optional);
- `LIBRARIES`: a pattern of the shared libraries' base names (optional);
- `NAMESPACE`: a pattern of its native functions' names, where others have it linked in (optional);
- `OWNER`: whose code its frames are (optional, `Owner.LIBRARY`).
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from diagnostics.model import Role, WaitKind


class Owner(enum.IntEnum):
    """Whose code a frame is. What has the lowest value tells a user most."""

    USER = 0
    APPLICATION = 1  # a framework that has the training loop or the server: vllm, lightning, megatron
    LIBRARY = 2  # torch, tensorflow, nccl
    STANDARD = 3  # Python's standard library, launchers
    SYSTEM = 4  # libc, the interpreter, a language's runtime


class Weight(enum.IntEnum):
    """Which of several operations on a stack people call it by: the heaviest, of equals the outermost."""

    PRIMITIVE = 0  # a system call, a lock, a sleep: what others are made of
    GENERAL = 1  # a queue, an event, a future; what contains other operations, as `backward`
    NAMED = 2  # all_reduce, RunStep, DataLoader.__next__
    FINAL = 3  # what a named operation comes to that is another by now: it ends its workers


class Symbol(NamedTuple):
    """One row of a table.

    `function`: of Python's functions the whole name without its class, of native ones a part of the name with its
    namespaces; a regular expression. `file`: of Python's, the end of its path below the library's root
    (`torch/cuda/streams.py`), or a folder (`torch/_inductor/`), several divided by `|`; of native ones a pattern of the
    library's name; "": any. `operation` may quote groups of the match (`\\1`). `callee`: the next Python function
    inside. `home`: the loop of a helper thread, which is idle by nature while nothing but a wait lies inside of it.
    `hard`: it is what the thread waits for, whatever the frames around it say. `seen`: releases. `not_for`: what a
    match must not be taken to mean. `shared`: what runs here is shared out among the workers of a process that has a
    thread with `serves_many`.
    """

    function: str
    file: str = ""
    native: bool = False
    operation: str = ""
    waits: WaitKind | None = None
    roles: tuple[Role, ...] = ()
    weight: Weight = Weight.NAMED
    callee: str = ""
    home: bool = False
    hard: bool = False
    seen: str = ""
    not_for: str = ""
    shared: bool = False
    serves_many: bool = False


def python(
    file: str,
    function: str,
    operation: str = "",
    waits: WaitKind | None = None,
    *roles: Role,
    weight: Weight = Weight.NAMED,
    callee: str = "",
    home: bool = False,
    seen: str = "",
    not_for: str = "",
) -> Symbol:
    """A row for functions of Python code."""
    return Symbol(function, file, False, operation, waits, roles, weight, callee, home, False, seen, not_for)


def native(
    function: str,
    operation: str = "",
    waits: WaitKind | None = None,
    *roles: Role,
    weight: Weight = Weight.NAMED,
    library: str = "",
    home: bool = False,
    hard: bool = False,
    seen: str = "",
    not_for: str = "",
    shared: bool = False,
    serves_many: bool = False,
) -> Symbol:
    """A row for functions of compiled code. `library`: pattern of its base name."""
    return Symbol(
        function, library, True, operation, waits, roles, weight, "", home, hard, seen, not_for, shared, serves_many
    )
