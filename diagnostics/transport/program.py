"""The collector and its order, made ready to run: here from our files, elsewhere as one text for a shell."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
import sysconfig
import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from glob import glob
from pathlib import Path
from typing import Any, NamedTuple

import platformdirs

import diagnostics
from diagnostics.transport import travel
from diagnostics.transport.options import Options

HOME = Path(diagnostics.__file__).parent
SHELL = Path(__file__).with_name("agent.sh")
CARRIED = ("__init__.py", "collector/**/*.py", "recorder/*.py", "redaction/*.py")
"""What travels, below `HOME`."""

_START = """import sys, json
sys.path.insert(0, sys.argv[1])
from diagnostics.collector.program import get_ready, main
get_ready()
main(json.loads(sys.stdin.read()))
"""


def order(do: Sequence[str], targets: Sequence[Mapping[str, Any]], options: Options, deadline: float) -> dict[str, Any]:
    """What a collector is asked for; see `diagnostics.collector.program`."""
    return {
        "do": list(do), "targets": list(targets), "samples": options.samples, "gap": options.gap,
        "budget": min(options.budget, deadline), "collectors": list(options.collectors), "deadline": deadline,
    }  # fmt: skip


def argv_here() -> list[str]:
    """The command that runs the collector on this machine, without our dependencies; it takes its order on stdin."""
    return [sys.executable, "-I", "-S", "-c", _START, str(HOME.parent)]


def means_here() -> dict[str, Any]:
    """What the collector may use of what is installed with us."""
    return {
        "libraries": libraries(),
        "cache": os.path.join(platformdirs.user_cache_dir("lastbatch"), "symbols"),
        "site": [path for path in sys.path if path.endswith("-packages")],
        "py_spy": py_spy(),
    }


def py_spy() -> str:
    """Where pip puts programs, or beside us in a folder that was filled with `pip install --target`."""
    places = [os.path.join(sysconfig.get_path("scripts"), "py-spy"), str(HOME.parent / "bin" / "py-spy")]
    return next((path for path in places if os.path.exists(path)), shutil.which("py-spy") or "")


def libraries() -> list[list[str]]:
    """Where libdw may be: pystack's wheel brings one, with what has to be loaded before it; else the system's."""
    spec = importlib.util.find_spec("pystack")
    home = str(Path(spec.origin).parent.parent / "pystack.libs") if spec and spec.origin else ""
    brought = [(glob(f"{home}/{name}*") or [""])[0] for name in ("libzstd", "libelf", "libdw")]
    return ([[path for path in brought if path]] if brought[-1] else []) + [["libdw.so.1"]]


class Script(NamedTuple):
    """For another host: what its shell gets, and what it gets when it has said `READY`.

    A shell that reads its commands from a pipe takes long for large texts, and may take more than its commands; so the
    collector is sent only when Python waits for it.
    """

    shell: bytes
    parts: tuple[bytes, ...]
    """Of the rest. The tools among them are the same objects for all hosts, so that thousands of scripts fit."""

    @property
    def rest(self) -> bytes:
        return b"".join(self.parts)


def script(asked: Mapping[str, Any], machine: str = "") -> Script:
    """`machine` is the host's architecture, which decides whether our tools can run there; "" for none."""
    pids = " ".join(str(target["pid"]) for target in asked.get("targets", ()))
    shell = SHELL.read_text("utf-8").replace("@PIDS@", pids).replace("@GAP@", str(asked.get("gap", 0)))
    shell = shell.replace("@GDB@", "yes" if "gdb" in (asked.get("collectors") or ["gdb"]) else "")
    takes = _cargo_for(asked, machine)
    sizes = [(name, len(data)) for name, data in takes.items()]
    asked = {**asked, "redact": True}
    text = f"{_program()}\ncarry(json.loads({json.dumps(json.dumps(dict(asked)))}), {sizes!r}, stdin)\n"
    packed = zlib.compress(text.encode(), 1)
    return Script(shell.replace("@START@", _WAIT).encode(), (MARK, b"%d\n" % len(packed), packed, *takes.values()))


def _cargo_for(asked: Mapping[str, Any], machine: str) -> Mapping[str, bytes]:
    """The tools that an order needs."""
    if not {"observe", "stacks", "ask"} & set(asked["do"]) or not asked.get("targets"):
        return {}
    tools, all_of_them = cargo(machine), "ask" not in asked["do"] and not asked.get("gently")
    return {name: tools[name] for name in tools if all_of_them or name == "py-spy"}


READY = b"@@lastbatch ready\n"
MARK = b"\0lastbatch\0"
"""Behind it is the collector; before it may be what the shell has left of its commands."""

# Within single quotes of a shell, so without any of its own.
_WAIT = f"""import sys, zlib
stdin, head = sys.stdin.buffer, bytes(1)
sys.stdout.write("{READY.decode().strip()}" + chr(10))
sys.stdout.flush()
while not head.endswith(bytes({list(MARK)})):
    piece = stdin.read(1)
    if not piece:
        sys.exit(1)
    head = (head + piece)[-64:]
exec(zlib.decompress(stdin.read(int(stdin.readline()))).decode())
"""


@lru_cache
def _program() -> str:
    """What puts the collector's modules in place, and starts it with the tools that come behind it."""
    files = {
        f"diagnostics/{path.relative_to(HOME).as_posix()}": path.read_text("utf-8")
        for pattern in CARRIED
        for path in sorted(HOME.glob(pattern))
    }
    return f"""{Path(travel.__file__).read_text("utf-8")}
import json
install(json.loads({json.dumps(json.dumps(files))}))
def carry(order, sizes, stdin):
    from diagnostics.collector.carried import unpack
    from diagnostics.collector.program import main
    order.update(unpack([(name, stdin.read(size)) for name, size in sizes]))
    main(order)
"""


@lru_cache
def cargo(machine: str) -> dict[str, bytes]:
    """Name -> what zlib makes of each tool that goes along; they are in memory there, never on disk."""
    if machine != "x86_64":
        return {}
    brought, spy = libraries()[0], py_spy()
    # In the order of loading.
    files = {f"lib{number}": Path(path) for number, path in enumerate(brought)} if len(brought) == 3 else {}
    if spy:
        files["py-spy"] = Path(spy)
    return {name: zlib.compress(path.read_bytes(), 1) for name, path in files.items()}
