"""Stacks of one process after the other, so that what is known of a library is known for all of them."""

import json
import os
import re
from contextlib import suppress
from typing import Any, Dict, List, Optional

from diagnostics.collector.stacks.unwind import libdw, stop
from diagnostics.collector.stacks.unwind.frame_pointer import frame_pointer
from diagnostics.collector.stacks.unwind.symbols import Demangler, Symbols


class Unwinder(object):
    """Stacks of processes of this machine."""

    def __init__(self, libraries: List[List[str]], cache: str = "") -> None:
        self._library = libdw.Library(libraries)
        self._symbols, self._demangle = Symbols(cache), Demangler()

    def read(self, pid: int, may_stop: bool = True) -> Dict[str, Any]:
        """`{"pid", "pause", "stopped", "threads": [[tid, [[function, file], ...]], ...]}`, frames outermost first.

        Only threads that run, or whose stack does not unwind without all their registers, are stopped; `stopped` of
        them. Unless it `may_stop` them: then what is known of them is told.
        """
        mappings, root = stop.read_mappings(pid), root_of(pid)
        names: Dict[libdw.Place, List[str]] = {}

        def named(place: libdw.Place) -> List[str]:
            if place not in names:
                function = self._symbols.name(root + place.path, place.address) if place.path else ""
                names[place] = [self._demangle(function) or "???", place.path]
            return names[place]

        with self._library.open(pid, mappings, root) as unwinding:
            asleep = stop.quiet(pid, mappings)
            stacks = unwinding.unwind(asleep.values())
            known = [self._with_frame_pointer(pid, root, unwinding, asleep[tid], stacks[tid]) for tid in stacks]
            for tid, places in unwinding.unwind(thread for thread in known if thread).items():
                if is_outermost(named(places[-1])[0]):
                    stacks[tid] = places
            whole = {tid for tid, places in stacks.items() if places and is_outermost(named(places[-1])[0])}
            rest, pause, stopped = stop.tasks(pid) - whole, 0.0, 0
            if rest and may_stop:
                snapshot = stop.take(pid, mappings, rest)
                pause, stopped = snapshot.pause, len(snapshot.threads)
                stacks.update(unwinding.unwind(snapshot.threads))
        threads = [[tid, [named(place) for place in reversed(places)]] for tid, places in sorted(stacks.items())]
        return {"pid": pid, "pause": pause, "stopped": stopped, "threads": threads}

    def _with_frame_pointer(
        self, pid: int, root: str, unwinding: libdw.Unwinding, thread: stop.Thread, places: List[libdw.Place]
    ) -> Optional[stop.Thread]:
        """The copy of a thread whose stack ends in a function that keeps a frame pointer, with it; None for others."""
        if len(places) < 2 or not places[-1].path:
            return None
        path, address = places[-1]
        begin = self._symbols.begin(root + path, address)
        if begin < 0:
            return None
        pointer = thread.registers[stop.SP]
        base = frame_pointer(
            lambda at, size: stop.read_memory(pid, at, size),
            pointer,
            thread.stack[pointer - thread.stack_at :],
            unwinding.loaded(path, address) + 1,
            unwinding.loaded(path, begin),
            once=len(places) > 2,
        )
        registers = list(thread.registers)
        registers[stop.BP] = base or 0
        return thread._replace(registers=tuple(registers)) if base else None


_OUTERMOST = re.compile(r"^(_start|_*(GI_+)?clone3?)(@.*)?$")


def is_outermost(function: str) -> bool:
    """Whether a stack that ends there is known whole: where the kernel starts programs and threads. An unwinder that
    lacks a register may end anywhere, and does not always notice."""
    return bool(_OUTERMOST.match(function))


def root_of(pid: int) -> str:
    """What to put before a path of that process to open it here; "" where both see the same files."""
    try:
        same = os.stat("/proc/%d/root" % pid), os.stat("/")
        return "" if same[0][1:3] == same[1][1:3] else "/proc/%d/root" % pid
    except OSError:
        return ""


class Answering(object):
    """Answers process ids (with ` gently`: nobody is stopped) with `Unwinder.read`'s values as JSON, or with
    `{"pid", "error"}`. libdw is loaded when it is first needed, or beforehand by `prepare`."""

    def __init__(self, libraries: List[List[str]], cache: str) -> None:
        self._libraries, self._cache = libraries, cache
        self._unwinder: Optional[Unwinder] = None

    def prepare(self) -> None:
        with suppress(libdw.Missing, OSError):  # told to who asks
            self._ready()

    def _ready(self) -> Unwinder:
        if self._unwinder is None:
            self._unwinder = Unwinder(self._libraries, self._cache)
        return self._unwinder

    def __call__(self, request: bytes) -> bytes:
        words = request.split()
        pid, may_stop = int(words[0]), words[1:] != [b"gently"]
        try:
            return json.dumps(self._ready().read(pid, may_stop)).encode()
        except (stop.CannotStop, libdw.Missing, OSError, ValueError) as error:
            return json.dumps({"pid": pid, "error": str(error)}).encode()
