"""The writer's side of the two tables beside the ring: labels, and what is open."""

import zlib
from typing import Any, Dict, List, Optional, Tuple

from .layout import (
    CRC,
    LABEL,
    LABEL_BYTES,
    LABEL_TEXT_BYTES,
    LABELS,
    OPEN_SLOTS,
    RECORD,
    RECORD_BYTES,
    cut,
)

_OTHER = LABELS - 1
# Errors are many and various: they must not use up the labels of barriers and phases.
_FIRST_LABELS = 48


class Labels(object):
    """Gives each text a number, writing it to the file before the number is used."""

    __slots__ = ("_area", "numbers")

    def __init__(self, area: int) -> None:
        self._area = area
        self.numbers: Dict[str, int] = {"": 0}

    def add(self, mapped: Any, name: Any, first: bool) -> int:
        """The number of a text that ``numbers`` may not know yet; once the table is full, that of "(other)".

        Args:
            first: stay within the first part of the table.
        """
        data = cut(str(name), LABEL_TEXT_BYTES)
        text = data.decode("utf-8")
        number = self.numbers.get(text)
        if number is not None:
            return number
        number = len(self.numbers)
        if number >= (_FIRST_LABELS if first else _OTHER):
            number, data = _OTHER, b"(other)"
        area = LABEL.pack(len(data), data)
        at = self._area + number * LABEL_BYTES
        mapped[at : at + LABEL_BYTES] = area + CRC.pack(zlib.crc32(area))
        if number != _OTHER:
            self.numbers[text] = number
        return number


class OpenTable(object):
    """Keeps the begin record of what is open. If more is open than it holds, only the ring knows of the rest.

    Slot 0 belongs to the step of the first stepping thread, and is not managed here.
    """

    __slots__ = ("_area", "_taken", "first")

    def __init__(self, area: int) -> None:
        self._area = area
        self._taken: List[Optional[Tuple[int, int, int]]] = [None] * OPEN_SLOTS
        self._taken[0] = (0, 0, 0)
        self.first = area

    def begin(self, mapped: Any, key: Tuple[int, int, int], body: bytes, crc: int, alone: bool) -> None:
        """Put in what begins.

        Args:
            key: its kind, label and thread.
            alone: there is one of this at a time: take the place of an older one.
        """
        taken = self._taken
        try:
            slot = taken.index(key if alone and key in taken else None)
        except ValueError:
            return
        taken[slot] = key
        RECORD.pack_into(mapped, self._area + slot * RECORD_BYTES, body, crc)

    def end(self, mapped: Any, key: Tuple[int, int, int]) -> None:
        """Take out what ended; if another thread began it, the newest of that kind and label."""
        taken = self._taken
        try:
            slot = taken.index(key)
        except ValueError:
            others = [other for other in taken if other is not None and other[:2] == key[:2]]
            if not others:
                return
            slot = taken.index(others[-1])
        taken[slot] = None
        RECORD.pack_into(mapped, self._area + slot * RECORD_BYTES, b"", 0)
