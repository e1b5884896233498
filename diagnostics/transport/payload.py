"""What travels: a shell script that finds a Python and gives it the agent, its order, and the tools it takes along."""

from __future__ import annotations

import base64
import glob
import json
import zlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from diagnostics.collect import asleep, pyspy, unwinders

HERE = Path(__file__).parent
SHELL_AGENT = HERE / "agent.sh"
UNWIND = ("stop", "libdw", "symbols", "worker")

_END = "LASTBATCH-END-OF-AGENT"


def script(order: Mapping[str, Any], machine: str = "") -> bytes:
    """The text for `sh -s`. `machine` is the host's, which decides whether our tools can run there; "" for none."""
    agent = (HERE / "agent.py").read_text("utf-8")
    takes = cargo(machine) if order.get("pids") else {}
    call = f"main(json.loads({json.dumps(json.dumps(dict(order)))}), {takes!r})\n"
    pids = " ".join(str(pid) for pid in order.get("pids", ()))
    shell = SHELL_AGENT.read_text("utf-8").replace("@PIDS@", pids).replace("@GAP@", str(order.get("gap", 0)))
    shell = shell.replace("@GDB@", "yes" if "gdb" in (order.get("rungs") or ["gdb"]) else "")
    return shell.replace("@AGENT@", f"<<'{_END}'\n{agent}\n{call}{_END}").encode()


@lru_cache
def cargo(machine: str) -> dict[str, str]:
    """Name -> zlib and base64 of each file that goes along; they are in memory there, never on disk."""
    files = {"asleep": Path(asleep.__file__)}
    if machine != "x86_64":
        return _packed(files)
    package = Path(unwinders.__file__).parent / "unwind"
    files |= {f"unwind/{name}": package / f"{name}.py" for name in UNWIND}
    brought = unwinders.libraries()[0]
    if len(brought) == 3:
        files |= {f"lib{number}": Path(path) for number, path in enumerate(brought)}  # in the order of loading
    if glob.glob(pyspy.tool()):
        files["py-spy"] = Path(pyspy.tool())
    return _packed(files)


def _packed(files: Mapping[str, Path]) -> dict[str, str]:
    return {name: base64.b64encode(zlib.compress(path.read_bytes(), 1)).decode() for name, path in files.items()}
