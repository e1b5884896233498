"""What symbols mean: one table a library, in a module each. A new module is found by itself.

`meanings(frame)` gives the rows that a frame matches, `owner_of(frame)` whose code it is. Both are kept for each
distinct frame. A table that cannot be read costs only itself: `broken()` names it.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from types import ModuleType
from typing import NamedTuple

from diagnostics.model import Frame, Process, Role, StageError, WaitKind
from diagnostics.stacks.source import Source, source_of
from diagnostics.stacks.symbol import Owner, Symbol, Weight

_DISTINCT = 1 << 18
_LONGEST = 2000
"""Characters of a function's name that are looked at: a template's arguments have no end."""


class Meaning(NamedTuple):
    """What a row says of a frame. `callee`: it holds only above a Python function of this name."""

    table: str
    operation: str
    waits: WaitKind | None
    roles: tuple[Role, ...]
    weight: Weight
    callee: str
    home: bool
    hard: bool
    shared: bool
    serves_many: bool


class _Row(NamedTuple):
    pattern: re.Pattern[str]
    symbol: Symbol


class Table(NamedTuple):
    """One library's rows, compiled. Python's are kept by the name of their file."""

    name: str
    owner: Owner
    packages: frozenset[str]
    libraries: re.Pattern[str] | None
    namespace: re.Pattern[str] | None
    native: tuple[Symbol, ...]
    any_native: re.Pattern[str] | None
    by_file: dict[str, tuple[_Row, ...]]
    by_folder: tuple[_Row, ...]


def compile_table(name: str, module: ModuleType) -> Table:
    """Raises `re.error` and `AttributeError` where the table is broken."""
    symbols: Sequence[Symbol] = module.SYMBOLS
    libraries: str = getattr(module, "LIBRARIES", "")
    namespace: str = getattr(module, "NAMESPACE", "")
    native = tuple(symbol for symbol in symbols if symbol.native)
    by_file: dict[str, list[_Row]] = {}
    by_folder = []
    python = [symbol._replace(file=file) for symbol in symbols if not symbol.native for file in symbol.file.split("|")]
    for symbol in python:
        row = _Row(re.compile(symbol.function), symbol)
        if not symbol.file or symbol.file.endswith("/"):
            by_folder.append(row)
        else:
            by_file.setdefault(symbol.file.rpartition("/")[2], []).append(row)
    return Table(
        name,
        getattr(module, "OWNER", Owner.LIBRARY),
        frozenset(getattr(module, "PACKAGES", ())),
        re.compile(libraries) if libraries else None,
        re.compile(namespace) if namespace else None,
        native,
        re.compile("|".join(f"(?:{symbol.function})" for symbol in native)) if native else None,
        {file: tuple(rows) for file, rows in by_file.items()},
        tuple(by_folder),
    )


@lru_cache(maxsize=1)
def _load() -> tuple[tuple[Table, ...], tuple[StageError, ...]]:
    tables, errors = [], []
    for info in pkgutil.iter_modules(__path__):
        try:
            tables.append(compile_table(info.name, importlib.import_module(f"{__name__}.{info.name}")))
        except Exception as error:
            errors.append(StageError(f"symbols {info.name}", f"{type(error).__name__}: {error}"))
    return tuple(tables), tuple(errors)


def tables() -> tuple[Table, ...]:
    return _load()[0]


def broken() -> tuple[StageError, ...]:
    """The tables that could not be read."""
    return _load()[1]


@lru_cache(maxsize=_DISTINCT)
def meanings(frame: Frame, known: bool = False) -> tuple[Meaning, ...]:
    """What the rows that match the frame say, of every table the first; rows that ask for a callee come before it.

    `known`: that the file without a folder is a library's is known from other frames of the stack.
    """
    found: list[Meaning] = []
    for table in tables():
        rows = _native_rows(table, frame) if frame.native else _python_rows(table, frame, known)
        for symbol, match in rows:
            operation = match.expand(symbol.operation) if "\\" in symbol.operation else symbol.operation
            found.append(
                Meaning(
                    table.name,
                    operation,
                    symbol.waits,
                    symbol.roles,
                    symbol.weight,
                    symbol.callee,
                    symbol.home,
                    symbol.hard,
                    symbol.shared,
                    symbol.serves_many,
                )
            )
            if not symbol.callee:
                break
    return tuple(found)


_OF_A_RELEASE = re.compile(r"\b(?:lts_\d+|__1|__cxx11|__ndk1)::")
Matches = Iterable[tuple[Symbol, re.Match[str]]]


@cache
def _compiled(function: str) -> re.Pattern[str]:
    """One row's own pattern is needed only where its table's matches."""
    return re.compile(function)


def _native_rows(table: Table, frame: Frame) -> Matches:
    name = _native_name(frame)
    if table.any_native and table.any_native.search(name):
        for symbol in table.native:
            match = _compiled(symbol.function).search(name)
            if match and (not symbol.file or re.match(symbol.file, frame.file.rpartition("/")[2])):
                yield symbol, match


def _native_name(frame: Frame) -> str:
    """The function alone: some tools write the place behind it, and some namespaces are a release's."""
    name = frame.function[:_LONGEST].partition(" at ")[0].strip().removesuffix("()")
    return _OF_A_RELEASE.sub("", name) if "::" in name else name


def _python_rows(table: Table, frame: Frame, known: bool = False) -> Matches:
    name = short(frame)[:_LONGEST]
    source = source_of(frame.file)
    for pattern, symbol in (*table.by_file.get(source.name, ()), *table.by_folder):
        if (match := pattern.fullmatch(name)) and _is_in(source, symbol.file, known or _is_distinct(name, source)):
            yield symbol, match


def _is_in(source: Source, wanted: str, known: bool) -> bool:
    """Whether a row's file or folder is the frame's: a user's file of the same name is another one."""
    if not wanted:
        return True
    if wanted.endswith("/"):
        return source.path.startswith(wanted) or f"/{wanted}" in source.path
    if source.path == wanted:
        return True
    if source.relative and wanted.endswith(f"/{source.path}"):
        return known  # a tool or a person cut the outer folders off
    # A library may have been built or installed in a place of its own.
    return source.path.endswith(f"/{wanted}") if "/" in wanted else source.standard and source.name == wanted


def _is_distinct(function: str, source: Source) -> bool:
    """Whether a function of a file whose folder is not told is hardly anybody else's of the same name."""
    private = function.startswith("_") and not function.startswith("__")
    return private or function.count("_") > 1 or "_" in source.name.removesuffix(".py").strip("_")


def short(frame: Frame) -> str:
    """A Python function without its class, as every tool and release but the newest writes it."""
    return frame.function if frame.native else frame.function.rpartition(".")[2].strip()


def is_known(frame: Frame) -> bool:
    """Whether a Python frame without a folder is a library's, by its own name."""
    return (
        not frame.native and source_of(frame.file).relative and any(_rows_of_a_file(table, frame) for table in tables())
    )


def _rows_of_a_file(table: Table, frame: Frame, known: bool = False) -> bool:
    return any(symbol.file for symbol, _ in _python_rows(table, frame, known))


@lru_cache(maxsize=_DISTINCT)
def owner_of(frame: Frame, known: bool = False) -> Owner:
    """Whose code a frame is."""
    return _native_owner(frame) if frame.native else _python_owner(frame, known)


_ITS_TESTS = re.compile(r"/(?:tests|testing/_internal)/")
"""A library's tests call it as a user does."""


def _python_owner(frame: Frame, known: bool) -> Owner:
    source = source_of(frame.file)
    if source.standard:
        return Owner.STANDARD
    if of_package := _by_package(source):
        return Owner.USER if _ITS_TESTS.search(source.path) else of_package.owner
    for table in tables():
        if _rows_of_a_file(table, frame, known):
            return min(table.owner, Owner.STANDARD)
    return Owner.LIBRARY if known else Owner.USER


@lru_cache(maxsize=_DISTINCT)
def library_of(frame: Frame) -> str:
    """The table of the library whose code a frame is, "" where none is known.

    What is linked into another library is known by its namespace. Functions of a user's may be called alike.
    """
    if not frame.native:
        found = _by_package(source_of(frame.file))
    else:
        found = _by_namespace(frame) if owner_of(frame) is not Owner.USER else None
        found = found or _by_file(frame)
    return found.name if found else ""


def uses(process: Process, library: str) -> bool:
    """Whether code of the library of this table is on one of its stacks."""
    return any(library_of(frame) == library for thread in process.threads for frame in thread.frames)


def _by_package(source: Source) -> Table | None:
    if not source.package or source.path == source.name:
        return None
    return next((one for one in tables() if source.package in one.packages), None)


def _by_namespace(frame: Frame) -> Table | None:
    name = _native_name(frame)
    return next((one for one in tables() if one.namespace and one.namespace.search(name)), None)


def _by_file(frame: Frame) -> Table | None:
    name = frame.file.rpartition("/")[2]
    return next((one for one in tables() if name and one.libraries and one.libraries.match(name)), None)


_INNER = re.compile(
    r"^(_*Py[A-Z_]|_*(GI_|libc_|pthread_|new_sem|sem_|lll_|clone|futex|poll|select|restore_rt)|std::|__|\?+$"
    r"|start_thread|_start$|nsync|absl::|gpr_|0x[0-9a-f]+$|\[unknown\]|<?unknown>?$|_dl_)"
)


def _native_owner(frame: Frame) -> Owner:
    if by_file := _by_file(frame):
        return by_file.owner
    for table in tables():
        if any(_native_rows(table, frame)):
            return table.owner
    return Owner.SYSTEM if not frame.function or _INNER.match(frame.function) else Owner.USER
