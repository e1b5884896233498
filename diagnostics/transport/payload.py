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

from diagnostics.collector import kernel
from diagnostics.collector.sources import blocking_calls as asleep
from diagnostics.collector.stacks import pyspy, unwinders
from diagnostics.transport import agent_host, travel

HERE = Path(__file__).parent
AGENT = HERE / "agent.py"
SHELL_AGENT = HERE / "agent.sh"
TRAVELS = (kernel, asleep, agent_host)
"""In the order in which they import each other."""
UNWIND = ("stop", "libdw", "symbols", "worker")

_END = "LASTBATCH-END-OF-AGENT"


def script(order: Mapping[str, Any], machine: str = "") -> bytes:
    """The text for `sh -s`. `machine` is the host's, which decides whether our tools can run there; "" for none."""
    takes = cargo(machine) if order.get("pids") else {}
    call = f"main(json.loads({json.dumps(json.dumps(dict(order)))}), {takes!r})\n"
    pids = " ".join(str(pid) for pid in order.get("pids", ()))
    shell = SHELL_AGENT.read_text("utf-8").replace("@PIDS@", pids).replace("@GAP@", str(order.get("gap", 0)))
    shell = shell.replace("@GDB@", "yes" if "gdb" in (order.get("rungs") or ["gdb"]) else "")
    return shell.replace("@AGENT@", f"<<'{_END}'\n{_program()}\n{call}{_END}").encode()


@lru_cache
def _program() -> str:
    """The agent behind what it imports. Modules that travel are found by name, without the packages around them."""
    modules = {module.__name__: _packed_file(Path(module.__file__ or "")) for module in TRAVELS}
    return f"""{Path(travel.__file__).read_text("utf-8")}
import base64, zlib
sys.modules[{travel.__name__!r}] = sys.modules[__name__]
for name, data in {modules!r}.items():
    module_of(name, zlib.decompress(base64.b64decode(data)))
{AGENT.read_text("utf-8")}"""


@lru_cache
def cargo(machine: str) -> dict[str, str]:
    """Name -> zlib and base64 of each file that goes along; they are in memory there, never on disk."""
    if machine != "x86_64":
        return {}
    package = Path(unwinders.__file__).parent / "unwind"
    files = {f"unwind/{name}": package / f"{name}.py" for name in UNWIND}
    brought = unwinders.libraries()[0]
    if len(brought) == 3:
        files |= {f"lib{number}": Path(path) for number, path in enumerate(brought)}  # in the order of loading
    if glob.glob(pyspy.tool()):
        files["py-spy"] = Path(pyspy.tool())
    return {name: _packed_file(path) for name, path in files.items()}


def _packed_file(path: Path) -> str:
    return base64.b64encode(zlib.compress(path.read_bytes(), 1)).decode()
