"""A pickle read without running it: plain values only, by a small set of opcodes of our own.

Python's own reader calls whatever a pickle names. This one knows no opcode that looks up a name, calls, or
builds an object; a pickle that holds one is refused. CPython 3.6, the standard library alone.
"""

from typing import Any, Dict, List

MOST_OPCODES = 20_000_000
_MARK = object()

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = frozenset(
    {
        "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE",
        "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES",
    }
)  # fmt: skip
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class Refused(ValueError):
    """It is cut, broken, or holds what is no plain value. `hint`: what to do next."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def plain_value(data: bytes) -> Any:
    """The value that the pickle holds: None, bool, int, float, str, bytes, list, tuple, dict.

    Containers may be shared, so whoever walks through them must bound how deep and how wide.

    Raises:
        Refused: with the reason.
    """
    import pickletools  # of those that need the collector, few need this

    machine = _Machine()
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
            if opcode.name == "STOP":
                return machine.result()
            if count > MOST_OPCODES:
                raise Refused("a pickle of more than {:,} steps".format(MOST_OPCODES), "Dump fewer entries")
            machine.step(opcode.name, argument)
    except Refused:
        raise
    except (ValueError, IndexError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise Refused("a pickle that is cut or broken (%s)" % type(error).__name__, "Copy it again") from None
    raise Refused("a pickle that does not end", "Copy it again")


class _Machine:
    def __init__(self) -> None:
        self._stack: List[Any] = []
        self._memo: Dict[int, Any] = {}

    def result(self) -> Any:
        (value,) = self._stack
        if value is _MARK:
            raise ValueError("a mark is no value")
        return value

    def step(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in _VALUES:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name == "MARK":
            stack.append(_MARK)
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self._memo[argument])
        elif name in _TUPLES:
            count = _TUPLES[name]
            stack[-count:] = [tuple(self._checked(stack[-count:], count))]
        else:
            self._build(name)

    @staticmethod
    def _checked(values: List[Any], count: int) -> List[Any]:
        if len(values) != count or _MARK in values:
            raise ValueError("too few values")
        return values

    def _since_mark(self) -> List[Any]:
        stack = self._stack
        at = len(stack) - 1
        while stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise ValueError("no mark")
        values = stack[at + 1 :]
        del stack[at:]
        return values

    def _build(self, name: str) -> None:
        stack = self._stack
        if name in ("PROTO", "FRAME"):
            return
        if name == "EMPTY_DICT":
            stack.append({})
        elif name == "EMPTY_LIST":
            stack.append([])
        elif name == "EMPTY_TUPLE":
            stack.append(())
        elif name == "TUPLE":
            stack.append(tuple(self._since_mark()))
        elif name == "APPEND":
            self._append([stack.pop()])
        elif name == "APPENDS":
            self._append(self._since_mark())
        elif name == "SETITEM":
            value, key = stack.pop(), stack.pop()
            self._set([key, value])
        elif name == "SETITEMS":
            self._set(self._since_mark())
        else:
            raise Refused(
                "a pickle with the opcode %s, which no plain value needs: it is not opened" % name,
                "A flight recorder's dump holds plain values only; do not load this file with pickle either",
            )

    def _append(self, values: List[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, list) or _MARK in values:
            raise ValueError("no list")
        target.extend(values)

    def _set(self, pairs: List[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict) or len(pairs) % 2 or _MARK in pairs:
            raise ValueError("no dictionary")
        for key, value in zip(pairs[::2], pairs[1::2]):
            if not (key is None or isinstance(key, (str, int, float, bytes))):
                raise ValueError("a key that is a container")
            target[key] = value
