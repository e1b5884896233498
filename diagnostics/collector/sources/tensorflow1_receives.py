"""Receives of TensorFlow 1 that are open in memory, and the steps that its servers were told of. Only where asked for:
whole processes are looked through. Nobody is stopped; what is looked for changes no more, so two scans agree.
"""

import os
import time
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Tuple

from diagnostics.collector import namespaces
from diagnostics.collector.look import Fields, Look, plain
from diagnostics.collector.memory import search, tensorflow1
from diagnostics.collector.memory.elf import Library
from diagnostics.collector.memory.process import Memory, Unreadable
from diagnostics.collector.sources import mounts

GAP = 1.0
"""Seconds between two scans of a receive, at least."""
MOST = 8 << 30
"""Bytes of one process that are looked through, unless the order says otherwise."""


class Found(NamedTuple):
    """Of one process. `why_not`: why there is nothing, "" where all was seen."""

    calls: Tuple[tensorflow1.OpenCall, ...] = ()
    tables: Tuple[tensorflow1.Table, ...] = ()
    library: str = ""
    why_not: str = ""


def asked(look: Look, wanted: Dict[str, Any], until: float) -> Fields:
    """`wanted`: `first` (processes whose receives matter most), `most` (bytes of a process; 0: no limit)."""
    most = wanted.get("most", MOST)
    libraries = _Libraries()
    # The wait for the second scan of the clients passes while the servers are looked through.
    first = [pid for pid in wanted.get("first", ()) if pid in look.targets]
    found = {pid: _seen(pid, libraries, most, until) for pid in first}
    looked = time.monotonic()
    found.update((pid, _seen(pid, libraries, most, until)) for pid in look.pids if pid not in found)
    if any(one.calls for one in found.values()):
        time.sleep(max(0.0, looked + GAP - time.monotonic()))
    return {pid: plain(_still(pid, one, libraries)) for pid, one in found.items()}


class _Libraries(object):
    """The places in each library, found once for all processes that map the same file."""

    def __init__(self) -> None:
        self._known: Dict[Tuple[int, int], Optional[tensorflow1.Places]] = {}

    def places(self, memory: Memory) -> Tuple[str, tensorflow1.Places]:
        """Raises: Unreadable: it has none, or one that does not tell."""
        for path in mounts.answering(memory.pid, memory.libraries((tensorflow1.LIBRARY,))):
            inside = namespaces.path_of(memory.pid, path)
            try:
                status = os.stat(inside)
            except OSError:
                continue
            key = status.st_dev, status.st_ino
            if key not in self._known:
                with Library(inside) as library:
                    self._known[key] = tensorflow1.places_in(library)
            places = self._known[key]
            if places is None:
                said = "%s does not name the classes of its receives: stripped, or a release that keeps them otherwise"
                raise Unreadable(said % tensorflow1.LIBRARY)
            return path, places
        raise Unreadable("it has no %s mapped that can be read" % tensorflow1.LIBRARY)


def _seen(pid: int, libraries: _Libraries, most: int, until: float) -> Found:
    """One pass over the memory of a process."""
    try:
        with Memory(pid) as memory:
            path, places = libraries.places(memory)
            runs = search.used(memory)
            size = search.size_of(runs)
            if most and size > most:
                raise Unreadable("it has %d MB in memory; lastbatch trace --memory has no limit" % (size >> 20))
            if time.monotonic() > until:
                raise Unreadable("there was no time left to look through its memory")
            base = tensorflow1.base_of(memory)
            hits = list(search.find(memory, runs, (base + places.calls, base + places.rendezvous)))
            return Found(
                tuple(_calls(memory, [at for at, word in hits if word == base + places.calls], places)),
                tuple(_tables(memory, [at for at, word in hits if word == base + places.rendezvous], places)),
                path,
            )
    except Unreadable as error:
        return Found(why_not=str(error))
    except OSError as error:
        return Found(why_not="its memory cannot be read: %s" % error.strerror)


def _calls(memory: Memory, addresses: List[int], places: tensorflow1.Places) -> Iterable[tensorflow1.OpenCall]:
    for address in addresses:
        call = tensorflow1.open_call(memory, address, places.status)
        if call:
            yield call


def _tables(memory: Memory, addresses: List[int], places: tensorflow1.Places) -> Iterable[tensorflow1.Table]:
    for address in addresses:
        table = tensorflow1.table_at(memory, address, places.session_at)
        if table:
            yield table


def _still(pid: int, found: Found, libraries: _Libraries) -> Found:
    """With those calls alone that are as they were."""
    if not found.calls:
        return found
    try:
        with Memory(pid) as memory:
            _, places = libraries.places(memory)
            same = set(_calls(memory, [call.address for call in found.calls], places))
    except Unreadable as error:
        return Found(why_not=str(error))
    return found._replace(calls=tuple(call for call in found.calls if call in same))
