"""What a stack alone says of where its thread stands: operation, wait, user's frame, roles. Pure; kept per stack."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from diagnostics.model import Frame, Role, WaitKind
from diagnostics.stacks.demangle import is_noise
from diagnostics.stacks.merge import is_eval
from diagnostics.stacks.source import is_command, source_of
from diagnostics.stacks.symbol import Owner, Weight
from diagnostics.stacks.symbols import Meaning, is_known, meanings, owner_of, short

_LIMITED = re.compile(r"timedwait|clockwait|(timed|clock)join_np|_timed(rd|wr)?lock|clocklock")
_ALLOWED_IN_A_HOME = frozenset({Role.QUEUE_GET, Role.EVENT_LOOP, Role.IDLE})


class Stand(NamedTuple):
    """What a stack says. `frame`: the innermost of the user's code, `owner`: whose it is where there is none of his.

    `detail`: what below the operation waits, where it adds something (`cuStreamSynchronize`).
    """

    operation: str
    waits: WaitKind
    limited: bool
    roles: tuple[Role, ...]
    frame: Frame | None
    owner: Owner
    detail: str
    shared: bool = False
    serves_many: bool = False

    def has(self, *roles: Role) -> bool:
        """Whether it has one of these roles."""
        return any(role in self.roles for role in roles)


class _At(NamedTuple):
    frame: Frame
    owner: Owner
    meanings: tuple[Meaning, ...]


@lru_cache(maxsize=1 << 16)
def stand_of(frames: tuple[Frame, ...]) -> Stand:
    """Outermost frame first."""
    whole = _read(frames)
    stack = whole[_last_fork(whole) :]
    own = _own_frame(stack)
    owner = stack[own].owner if own >= 0 else Owner.SYSTEM
    inner = stack[own + 1 :] if owner is Owner.USER else stack
    if owner is Owner.USER and stack[own].frame.native:
        inner = stack[own:]
    native = _below_python(stack)
    operation, waits = _operation(inner, native, any(not at.frame.native for at in stack))
    return Stand(
        operation or (_called(native) if len(native) < len(stack) else ""),
        waits,
        any(_LIMITED.search(at.frame.function) for at in native),
        ((Role.FORKED,) if len(stack) < len(whole) else ()) + _roles(stack, own if owner <= Owner.APPLICATION else -1),
        _named(stack, own) if own >= 0 else None,
        owner,
        _detail(inner, waits, operation),
        any(meaning.shared for at in stack for meaning in at.meanings),
        any(meaning.serves_many for at in stack for meaning in at.meanings),
    )


def _read(frames: tuple[Frame, ...]) -> Sequence[_At]:
    callees = _callees(frames)
    libraries = _files_of_libraries(frames)
    stack: list[_At] = []
    for frame, callee in zip(frames, callees, strict=True):
        known, calls = frame.file in libraries, short(callee) if callee else ""
        owner = Owner.USER if is_command(frame.file, short(frame), calls) else _owner(frame, known, stack)
        stack.append(_At(frame, owner, _holding(meanings(frame, known), calls)))
    return stack


def _owner(frame: Frame, known: bool, outside: Sequence[_At]) -> Owner:
    """A compiled function that a library calls, and that is in no library of another name, is the library's, too."""
    owner = owner_of(frame, known)
    if owner is Owner.USER and frame.native and outside and outside[-1].frame.native:
        outer = outside[-1]
        if outer.owner in (Owner.LIBRARY, Owner.APPLICATION) and frame.file in ("", outer.frame.file):
            return outer.owner
    return owner


def _files_of_libraries(frames: tuple[Frame, ...]) -> frozenset[str]:
    """Files without a folder that are a library's: known by one function of theirs, or by what they call."""
    python = [frame for frame in frames if not frame.native]
    known = {frame.file for frame in python if is_known(frame)}
    for inside, outer in pairwise(reversed(python)):
        of_a_library = source_of(inside.file).standard or inside.file in known
        if of_a_library and source_of(outer.file).relative and _calls_its_own(outer):
            known.add(outer.file)
    return frozenset(known)


def _calls_its_own(frame: Frame) -> bool:
    """Whether the standard library has a function of this name in a file of this name."""
    return any(meaning.table == "cpython" and meaning.weight for meaning in meanings(frame, True))


def _holding(found: tuple[Meaning, ...], callee: str) -> tuple[Meaning, ...]:
    """Of every table the first row that holds with this function inside."""
    by_table: dict[str, Meaning] = {}
    for meaning in found:
        if not meaning.callee or re.fullmatch(meaning.callee, callee):
            by_table.setdefault(meaning.table, meaning)
    return tuple(by_table.values())


def _callees(frames: tuple[Frame, ...]) -> list[Frame | None]:
    """For each frame the Python frame next inside of it."""
    found: list[Frame | None] = []
    inside: Frame | None = None
    for frame in reversed(frames):
        found.append(inside)
        if not frame.native:
            inside = frame
    return found[::-1]


def _last_fork(stack: Sequence[_At]) -> int:
    """Where the stack begins that is the process's own: what lies outside of a fork was copied from its parent."""
    for index in range(len(stack) - 1, -1, -1):
        if any(_is_fork(meaning, stack[index + 1 :]) for meaning in stack[index].meanings):
            return index + 1
    return 0


def _is_fork(meaning: Meaning, inside: Sequence[_At]) -> bool:
    """Whether the thread came out of a fork here, and does not only call one."""
    return Role.FORKED in meaning.roles and (bool(meaning.callee) or not all(map(_only_waits, inside)))


def _own_frame(stack: Sequence[_At]) -> int:
    """Index of the innermost frame of the code that is the user's, or nearest to him; -1 for none.

    Python code that calls into compiled code is where people look, whoever wrote the compiled code.
    """
    best, key = -1, (Owner.SYSTEM, True)
    mixed = any(not at.frame.native for at in stack)
    for index, at in enumerate(stack):
        if at.owner < Owner.SYSTEM and not is_noise(at.frame):
            foreign = at.owner is Owner.USER and at.frame.native and mixed
            rank = (Owner.LIBRARY, True) if foreign else (at.owner, at.frame.native)
            if rank <= key:
                best, key = index, rank
    return best


def _named(stack: Sequence[_At], own: int) -> Frame:
    """A comprehension has no name of its own: it is said to be the function that it stands in."""
    frame = stack[own].frame
    if frame.native or short(frame) not in _COMPREHENSIONS:
        return frame
    within = frame.function.rpartition(".<locals>.")[0]
    outer = (at.frame for at in reversed(stack[:own]) if not at.frame.native and at.frame.file == frame.file)
    called = next((one for one in outer if short(one) not in _COMPREHENSIONS), None)
    return Frame(within or (called.function if called else frame.function), frame.file, frame.line)


_COMPREHENSIONS = frozenset({"<genexpr>", "<listcomp>", "<setcomp>", "<dictcomp>"})


def _below_python(stack: Sequence[_At]) -> Sequence[_At]:
    """The native frames inside the innermost Python frame; all, where there is none."""
    last = max((index for index, at in enumerate(stack) if not at.frame.native), default=-1)
    return stack[last + 1 :]


def _operation(inner: Sequence[_At], native: Sequence[_At], python: bool) -> tuple[str, WaitKind]:
    rows = [meaning for at in inner for meaning in at.meanings]
    rows.sort(key=lambda meaning: -meaning.weight)
    operation = next((row for row in rows if row.operation), None)
    waits = operation.waits if operation and operation.waits else next((row.waits for row in rows if row.waits), None)
    hard = next((meaning for at in native for meaning in at.meanings if meaning.hard), None)
    if hard and hard.waits:
        plain = operation is None or operation.weight is Weight.PRIMITIVE
        return hard.operation if plain or operation is None else operation.operation, hard.waits
    if not python and operation and _may_be_anybodys(operation):
        # Without Python's frames a lock of Python may be anybody's: conditions and queues are made of them.
        return _ANY_LOCK if operation.operation == "Lock.acquire" else "", WaitKind.UNKNOWN
    if waits is WaitKind.JOIN and any(row.waits is WaitKind.CHILD for row in rows):
        waits = WaitKind.CHILD  # what is waited for is a process, as what lies inside tells
    runs = bool(inner) and is_eval(inner[-1].frame)
    return operation.operation if operation else "", waits or (WaitKind.NOTHING if runs else WaitKind.UNKNOWN)


_ANY_LOCK = "lock or condition of Python"


def _detail(inner: Sequence[_At], waits: WaitKind, operation: str) -> str:
    """What below the operation waits, where that adds something: the driver's call, the stage of an initialization."""
    if waits is WaitKind.DEVICE:
        calls = [at.frame.function for at in inner if at.frame.native and any(m.waits is waits for m in at.meanings)]
        return calls[-1] if calls else ""
    stages = [m.operation for at in inner for m in at.meanings if m.weight and m.waits not in (waits, None)]
    return next((stage for stage in stages if stage not in ("", operation)), "") if waits in _WITH_STAGES else ""


_WITH_STAGES = (WaitKind.COLLECTIVE, WaitKind.STEP, WaitKind.RENDEZVOUS)


def _may_be_anybodys(operation: Meaning) -> bool:
    return operation.table == "cpython" and operation.weight is Weight.PRIMITIVE and operation.waits is WaitKind.LOCK


def _called(below: Sequence[_At]) -> str:
    """The compiled function that the innermost Python frame called."""
    return next((at.frame.function for at in below if at.owner < Owner.SYSTEM), "")


def _roles(stack: Sequence[_At], user: int) -> tuple[Role, ...]:
    """`user`: index of the user's frame, -1 where there is none. A thread that runs his code is not idle by nature."""
    roles: list[Role] = []
    begun = False  # whether a frame outside does something that people have a name for
    for index, at in enumerate(stack):
        inside = stack[index + 1 :]
        for meaning in at.meanings:
            if meaning.home and user < 0 and not begun and all(map(_only_waits, inside)):
                roles.append(Role.IDLE)
            roles += [role for role in meaning.roles if _applies(role, meaning, stack, index, user)]
        begun = begun or any(m.operation and m.weight and not m.home for m in at.meanings)
    roles += _interruptions(stack)
    unsaid = {Role.SERVE} if not _AT_WORK.isdisjoint(roles) else set()
    if Role.INPUT_NEXT in roles and Role.CALLBACK not in roles and not _makes(stack, user):
        unsaid.add(Role.INPUT_MAKE)
    if any(meaning.weight is Weight.FINAL for at in stack for meaning in at.meanings):
        unsaid.add(Role.INPUT_NEXT)
    if any(_MEETS.intersection(m.roles) and Role.KEY not in m.roles for at in stack for m in at.meanings):
        unsaid.add(Role.KEY)
    roles = [role for role in roles if role not in unsaid]
    return tuple(dict.fromkeys(roles))


_MEETS = frozenset({Role.RENDEZVOUS, Role.COLLECTIVE, Role.BARRIER, Role.TEARDOWN})
"""What libraries use a store for: the key is theirs, and other ranks set it when they come."""
_AT_WORK = frozenset(
    {
        Role.COLLECTIVE, Role.BARRIER, Role.RENDEZVOUS, Role.DEVICE, Role.DEVICE_LAUNCH, Role.OPERATION, Role.SAVE,
        Role.COMPILE, Role.INPUT_NEXT, Role.POOL_WAIT, Role.FILE_LOCK, Role.SPAWN,
    }
)  # fmt: skip
"""Roles of a server's thread that does something, and does not wait to be asked."""


def _is_handled(stack: Sequence[_At], index: int) -> bool:
    """Whether a handler runs inside: the interpreter also only looks for signals."""
    within, evals = stack[index + 1 :], any(is_eval(at.frame) for at in stack)
    return any(is_eval(at.frame) or not at.frame.native for at in within) or not (evals or _is_pure(stack))


def _is_pure(stack: Sequence[_At]) -> bool:
    return all(at.frame.native for at in stack)


def _makes(stack: Sequence[_At], user: int) -> bool:
    """Whether the user's code that makes a batch runs in the thread that asks for it."""
    return any(Role.INPUT_MAKE in meaning.roles for at in stack[: max(user, 0)] for meaning in at.meanings)


def _applies(role: Role, meaning: Meaning, stack: Sequence[_At], index: int, user: int) -> bool:
    if role is Role.FORKED:
        return _is_fork(meaning, stack[index + 1 :])
    if role is Role.SIGNAL_HANDLER:
        return meaning.table != "cpython" or _is_handled(stack, index)
    if role is Role.IDLE:
        return user < 0 or (stack[user].owner is Owner.APPLICATION and not stack[index].frame.native)
    return role is not Role.SERVE or user <= index or stack[user].owner is Owner.APPLICATION


def is_home(frame: Frame) -> bool:
    """Whether it is the loop of a helper thread, in which nothing but a wait is rest."""
    return any(meaning.home or Role.IDLE in meaning.roles for meaning in _alone(frame).meanings)


def only_waits(frame: Frame) -> bool:
    """Whether a frame, whatever is inside of it, is only part of how something waits."""
    return _only_waits(_alone(frame))


def _alone(frame: Frame) -> _At:
    return _At(frame, owner_of(frame), _holding(meanings(frame), ""))


def _only_waits(at: _At) -> bool:
    """Whether a frame is only part of how something waits."""
    plain = at.owner >= Owner.STANDARD or (at.meanings and all(m.weight is Weight.PRIMITIVE for m in at.meanings))
    return bool(plain) and all(_ALLOWED_IN_A_HOME.issuperset(m.roles) for m in at.meanings)


def _interruptions(stack: Sequence[_At]) -> Iterator[Role]:
    """User's code inside a wait of the standard library, which never calls any: a signal's handler ran it."""
    python = [at for at in stack if not at.frame.native]
    for outer, inside in pairwise(python):
        waits = outer.owner is Owner.STANDARD and any(m.waits and not m.callee for m in outer.meanings)
        if waits and inside.owner <= Owner.APPLICATION and short(outer.frame) != "wait_for":
            yield Role.FINALIZER if short(inside.frame) == "__del__" else Role.SIGNAL_HANDLER
