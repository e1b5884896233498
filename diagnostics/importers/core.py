"""Core files, read through pystack where it is there. No program is run from a core, and no symbol is fetched."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from pathlib import Path

from diagnostics.errors import EvidenceError

LIMIT = 120.0
"""Seconds for a core file, however large."""
_CORE = 4  # e_type ET_CORE of ELF


def stacks_of(path: Path) -> bytes:
    """What `pystack core` writes of it.

    Raises:
        EvidenceError: it is a program and no core, there is no pystack, or pystack cannot read it.
    """
    by_hand = "Turn it to text: pystack core FILE PYTHON, or gdb -batch -ex 'thread apply all bt' PYTHON FILE"
    with path.open("rb") as file:
        head = file.read(20)
    if len(head) < 18 or int.from_bytes(head[16:18], "little" if head[5:6] == b"\x01" else "big") != _CORE:
        raise EvidenceError("a program or library, and no core file", "Give dumps, logs or core files")
    tool = shutil.which("pystack") or shutil.which("pystack", path=sysconfig.get_path("scripts", vars={}))
    if not tool:
        raise EvidenceError("a core file, and pystack, which reads these, is not installed", by_hand)
    try:
        done = subprocess.run(
            [tool, "core", "--native", str(path)], capture_output=True, timeout=LIMIT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EvidenceError(f"a core file that pystack did not read: {error}", by_hand) from None
    if not done.stdout.strip():
        reason = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["it wrote nothing"]
        raise EvidenceError(f"a core file that pystack cannot read: {reason[0][:200]}", by_hand)
    return done.stdout
