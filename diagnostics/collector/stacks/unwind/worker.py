"""Stacks of one process after the other, so that what is known of a library is known for all of them."""

import json
import os
from typing import Any, Callable, Dict, List

from diagnostics.collector.stacks.unwind import libdw, stop
from diagnostics.collector.stacks.unwind.symbols import Demangler, Symbols


class Unwinder(object):
    """Stacks of processes of this machine."""

    def __init__(self, libraries: List[List[str]], cache: str = "") -> None:
        self._library = libdw.Library(libraries)
        self._symbols, self._demangle = Symbols(cache), Demangler()

    def read(self, pid: int) -> Dict[str, Any]:
        """`{"pid", "pause", "threads": [[tid, [[function, file], ...]], ...]}`, frames outermost first."""
        snapshot = stop.take(pid)
        root = root_of(pid)
        stacks = self._library.unwind(snapshot, root)
        names: Dict[libdw.Place, List[str]] = {}

        def named(place: libdw.Place) -> List[str]:
            if place not in names:
                function = self._symbols.name(root + place.path, place.address) if place.path else ""
                names[place] = [self._demangle(function) or "???", place.path]
            return names[place]

        threads = [[tid, [named(place) for place in reversed(places)]] for tid, places in sorted(stacks.items())]
        return {"pid": pid, "pause": snapshot.pause, "threads": threads}


def root_of(pid: int) -> str:
    """What to put before a path of that process to open it here; "" where both see the same files."""
    try:
        same = os.stat("/proc/%d/root" % pid), os.stat("/")
        return "" if same[0][1:3] == same[1][1:3] else "/proc/%d/root" % pid
    except OSError:
        return ""


def answer_with(libraries: List[List[str]], cache: str) -> Callable[[bytes], bytes]:
    """Answers process ids with `Unwinder.read`'s values as JSON, or with `{"pid", "error"}`. libdw is loaded when it is
    first needed."""
    ready: List[Unwinder] = []

    def answer(request: bytes) -> bytes:
        pid = int(request)
        try:
            if not ready:
                ready.append(Unwinder(libraries, cache))
            return json.dumps(ready[0].read(pid)).encode()
        except (stop.CannotStop, libdw.Missing, OSError, ValueError) as error:
            return json.dumps({"pid": pid, "error": str(error)}).encode()

    return answer
