"""Reads process ids from standard input, one a line, and answers each with one JSON line.

`{"pid", "pause", "threads": [[tid, [[function, file], ...]], ...]}`, frames outermost first; or `{"pid", "error"}`. One
worker for many processes, so that what is known of a library is known for all of them.
"""

import json
import os
import sys
from typing import Any, Dict, List

from . import libdw, stop
from .symbols import Demangler, Symbols


class Unwinder(object):
    """Stacks of processes of this machine, one after the other."""

    def __init__(self, libraries: List[List[str]], cache: str = "") -> None:
        self._library = libdw.Library(libraries)
        self._symbols, self._demangle = Symbols(cache), Demangler()

    def read(self, pid: int) -> Dict[str, Any]:
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


def main(libraries: List[List[str]], cache: str) -> None:
    unwinder, why = None, ""
    try:
        unwinder = Unwinder(libraries, cache)
    except (libdw.Missing, OSError) as error:
        why = str(error)
    for line in sys.stdin:
        pid = int(line)
        try:
            answer = unwinder.read(pid) if unwinder else {"pid": pid, "error": why}
        except (stop.CannotStop, libdw.Missing, OSError, ValueError) as error:
            answer = {"pid": pid, "error": str(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), sys.argv[2])
