"""Native frames of all threads, unwound after the target runs again (see `diagnostics.collector.stacks.unwind`).

In processes of their own: libdw may crash on a damaged file, and what it knows of a library then serves many targets.
"""

import json
import threading
from typing import List, Optional

from diagnostics.collector import forked, procfs
from diagnostics.collector.stacks.base import CollectorError, Reading, StackCollector, explain
from diagnostics.collector.stacks.unwind import stop
from diagnostics.collector.stacks.unwind.worker import Answering

SYSTEM = [["libdw.so.1"]]


class Unwinders(object):
    """Workers that unwind, as many as are asked at the same time. A context manager: all have ended after it.

    `libraries`: where libdw may be, each with what has to be loaded before it; `cache`: a folder for symbol tables.
    """

    def __init__(self, count: int = 0, libraries: Optional[List[List[str]]] = None, cache: str = "") -> None:
        self._libraries, self._cache = libraries or SYSTEM, cache
        self._lock = threading.Lock()
        self._idle = [self._begun() for _ in range(count if stop.is_supported() else 0)]

    def _begun(self) -> "Worker":
        return Worker(self._libraries, self._cache)

    def __enter__(self) -> "Unwinders":
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._idle:
            worker.end()

    def read(self, pid: int, budget: float, gently: bool = False) -> Reading:
        """`gently`: nobody is stopped, and a thread of which too little is known is left out or shorter."""
        if not stop.is_supported():
            raise CollectorError("unwinds x86-64 only")
        with self._lock:
            worker = self._idle.pop() if self._idle else self._begun()
        try:
            said = json.loads(worker.ask(b"%d%s" % (pid, b" gently" if gently else b""), budget).decode())
        except forked.Failed as error:
            worker.end()
            raise CollectorError("the unwinder %s" % error) from None
        with self._lock:
            self._idle.append(worker)
        if "error" in said:
            raise CollectorError(explain(said["error"]))
        threads = [
            [tid, "", False, [[function, file, 0, True] for function, file in frames]]
            for tid, frames in said["threads"]
        ]
        if not threads:
            raise CollectorError("its threads could not be read without stopping them")
        return Reading(threads=threads, pause=said["pause"], stopped=said["stopped"])


class Worker(forked.Child):
    """One process that unwinds. If it dies, the kernel sets running again whatever it had stopped."""

    def __init__(self, libraries: Optional[List[List[str]]] = None, cache: str = "") -> None:
        answering = Answering(libraries or SYSTEM, cache)
        forked.Child.__init__(self, answering, answering.prepare)


workers: List[Unwinders] = []
"""Those of this program, begun before anything else of it."""


def begin(count: int, libraries: List[List[str]], cache: str) -> Unwinders:
    workers[:] = [Unwinders(count, libraries, cache)]
    return workers[0]


def _read(pid: int, budget: float) -> Reading:
    return workers[0].read(pid, budget)


def _read_gently(pid: int, budget: float) -> Reading:
    # A process that is stopped by a signal may be seized without setting it running.
    return workers[0].read(pid, budget, gently=procfs.settled_state(pid) != "T")


COLLECTOR = StackCollector("unwind", 20, _read, native=True, gentle=_read_gently)
