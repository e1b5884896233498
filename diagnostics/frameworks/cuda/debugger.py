"""What cuda-gdb prints, as values. Pure.

Forms of `info cuda kernels` and `info cuda threads`: "CUDA-GDB", chapter "Inspecting Program State", of the toolkits 5
to 13. Columns differ by release (`Name Args`, later `Invocation`), so a row is read by the shape of its cells.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from diagnostics.model import KernelPlace, ResidentKernel

MOST_KERNELS, MOST_PLACES, LONGEST = 128, 16, 300

_DIM = r"\(\s*\d+,\s*\d+,\s*\d+\)"
_KERNEL = re.compile(
    rf"^\s*(\*)?\s*\d+\s+(?:-|\d+)\s+(\d+)\s+(\d+)\s+([A-Za-z]\w*)\s+0x([0-9a-fA-F]+)\s+({_DIM})\s*({_DIM})\s+(\S.*)$"
)
_LANES = re.compile(rf"^\s*\*?\s*{_DIM}\s*{_DIM}\s*{_DIM}\s*{_DIM}\s*(\d+)\s+0x([0-9a-fA-F]+)(?:\s+(\S+)\s+(\d+))?\s*$")
_OLD_ARGUMENTS = re.compile(r"\s+\w+=.*$")
_FAILED = re.compile(
    r"^.*(?:ptrace: |Could not attach|could not allocate operating system resources|Timed out waiting for the CUDA API"
    r"|CUDA debugging is not supported|No CUDA|not permitted|fatal: |Failed to (?:attach|initialize)).*$",
    re.M,
)


def kernels_of(text: str) -> tuple[ResidentKernel, ...]:
    """The kernels that are resident, in the debugger's order; the one in focus has the places of its lanes."""
    lines = text.splitlines()
    places = _places(lines)
    return tuple(list(_kernels(lines, places))[:MOST_KERNELS])


def failure_of(text: str) -> str:
    """Why it told of no kernel, in its own words; "" where it does not say."""
    found = _FAILED.search(text)
    return found.group().strip()[:LONGEST] if found else ""


def _kernels(lines: Iterable[str], places: tuple[KernelPlace, ...]) -> Iterator[ResidentKernel]:
    for row in filter(None, map(_KERNEL.match, lines)):
        focus, device, grid, status, mask, blocks, threads, invoked = row.groups()
        yield ResidentKernel(
            name=_OLD_ARGUMENTS.sub("", invoked).strip()[:LONGEST],
            device=int(device),
            grid=int(grid),
            status=status,
            sms=bin(int(mask, 16)).count("1"),
            blocks=blocks.replace(" ", ""),
            threads=threads.replace(" ", ""),
            places=places if focus else (),
        )


def _places(lines: Iterable[str]) -> tuple[KernelPlace, ...]:
    """Lanes folded by where they stand."""
    lanes: Counter[tuple[str, str, int]] = Counter()
    for row in filter(None, map(_LANES.match, lines)):
        count, pc, file, line = row.groups()
        lanes[(f"0x{int(pc, 16):x}", "" if file in (None, "n/a") else file, int(line or 0))] += int(count)
    return tuple(KernelPlace(pc, count, file, line) for (pc, file, line), count in lanes.most_common(MOST_PLACES))
