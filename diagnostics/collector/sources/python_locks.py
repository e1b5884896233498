"""Which locks of Python each thread holds or wants, by the source of the program's own functions. Only where asked."""

import time
from typing import Any, Dict, Iterable, List, NamedTuple

from diagnostics.collector import held
from diagnostics.collector.look import Fields, Look, plain
from diagnostics.collector.sources.loops import source_of

MOST_THREADS = 64
MOST_FRAMES = 40


class LockBlock(NamedTuple):
    """As `diagnostics.model.LockBlock`."""

    tid: int
    name: str
    line: int
    wanted: bool


def asked(look: Look, wanted: Dict[str, Any], until: float) -> Fields:
    """`lock_blocks` of each process.

    `wanted`: `threads`, by process id the threads, each with the frames of the program's own, innermost first, as file,
    function, line and the function that it calls.
    """
    threads = wanted.get("threads", {})
    found = {pid: blocks_of(pid, threads.get(str(pid), ())) for pid in look.pids if time.monotonic() < until}
    return {pid: {"lock_blocks": plain(blocks)} for pid, blocks in found.items() if blocks}


def blocks_of(pid: int, threads: Iterable[Any]) -> List[LockBlock]:
    found: List[LockBlock] = []
    for tid, frames in list(threads)[:MOST_THREADS]:
        for number, (file, function, line, calls) in enumerate(frames[:MOST_FRAMES]):
            source = source_of(pid, file)
            place = held.Place(function, line, calls)
            blocks = held.blocks_at(source, place, number == 0) if source else ()
            found += [LockBlock(tid, *block) for block in blocks]
    return found
