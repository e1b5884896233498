"""Looks through all that a process has in anonymous, writable memory for words of eight bytes."""

import array
import mmap
import re
from typing import Iterable, Iterator, List, Set, Tuple

from diagnostics.collector.memory.process import Memory

LARGEST_REGION = 4 << 30
CHUNK = 16 << 20
"""Bytes of another process that are held here at a time."""
PAGE = mmap.PAGESIZE
_MANY = 6
_IN_USE = re.compile(rb"[\x40-\xff]+")
"""Highest bytes of the entries of /proc/PID/pagemap for pages that are present (bit 63) or swapped out (62)."""

Runs = List[Tuple[int, int]]


def used(memory: Memory) -> Runs:
    """(begin, end) of runs of pages that hold something. Of what an allocator has reserved most was never touched."""
    runs: Runs = []
    with open("/proc/%d/pagemap" % memory.pid, "rb", buffering=0) as pagemap:
        for start, end, rights, path in memory.maps:
            if rights.startswith("rw") and (not path or path.startswith("[heap]")) and end - start <= LARGEST_REGION:
                pagemap.seek(start // PAGE * 8)
                flags = (pagemap.read((end - start) // PAGE * 8) or b"")[7::8]
                runs += [(start + run.start() * PAGE, start + run.end() * PAGE) for run in _IN_USE.finditer(flags)]
    return runs


def size_of(runs: Runs) -> int:
    return sum(end - begin for begin, end in runs)


def find(memory: Memory, runs: Runs, words: Iterable[int]) -> Iterator[Tuple[int, int]]:
    """(address, word) where there is one of these words, aligned."""
    # Without its zeros, of which memory is full: a search skips ahead by a needle's last byte.
    needles = {word: word.to_bytes(8, "little").rstrip(b"\0") for word in words}
    for start, data in chunks(memory, runs):
        for word in needles if len(needles) < _MANY else _present(data, needles):
            at = data.find(needles[word])
            while at >= 0:
                if at % 8 == 0 and data[at : at + 8] == word.to_bytes(8, "little"):
                    yield start + at, word
                at = data.find(needles[word], at + 1)


def chunks(memory: Memory, runs: Runs) -> Iterator[Tuple[int, bytes]]:
    """What the runs hold, piece by piece, each with its address."""
    for begin, end in runs:
        for start in range(begin, end, CHUNK):
            yield start, memory.read(start, min(CHUNK, end - start))


def _present(data: bytes, words: Iterable[int]) -> Set[int]:
    """Which of these words are among the aligned ones: one pass for all, where a search for each would take longer."""
    aligned = array.array("Q")
    aligned.frombytes(data[: len(data) // 8 * 8])
    return set(words).intersection(aligned)
