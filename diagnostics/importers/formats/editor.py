"""Call stacks as editors copy them: Visual Studio Code's C++ debugger, Visual Studio, WinDbg."""

from __future__ import annotations

import re

from diagnostics.importers.formats.grammar import Grammar, ThreadHead
from diagnostics.model import Frame
from diagnostics.stacks.demangle import native_frame

LONGEST_NAME = 200
"""Characters before a frame's function: addresses, and the library's name."""
_FRAME = re.compile(
    r"\s*(?:[0-9a-f]+ )?(?:[0-9a-f`]{8,} [0-9a-f`]{8,} (?:: )?)?"
    r"([\w.+-]{1,100}(?:\.so[\w.]*|\.dylib|\.dll|\.exe|\.pyd)|ntdll|KERNELBASE|kernel32|python3\d*|nvcuda\w*|torch_\w+|c10\w*)"
    r"!(\S[^!]*?)(?:\+0x[0-9a-f]+)?(?: \(([^()]+?):(\d+)\))?$"
)


def _frame(line: str) -> Frame | None:
    match = _FRAME.match(line) if "!" in line[:LONGEST_NAME] else None
    return native_frame(match[2], match[3] or match[1], int(match[4] or 0)) if match else None


def _thread(line: str) -> ThreadHead | None:
    return None


GRAMMAR = Grammar("editor", _thread, _frame, native=True)
