"""Tools that came along with an order, put into memory: they are gone with this process."""

import zlib
from typing import Any, Dict, List, Tuple

from diagnostics.collector.kernel import in_memory


def unpack(cargo: List[Tuple[str, bytes]]) -> Dict[str, Any]:
    """Where each is now, as an order says it: `libraries`, `py_spy`. Nothing where the kernel has no such files."""
    try:
        places = {name: "/proc/self/fd/%d" % in_memory(name, zlib.decompress(data)) for name, data in cargo}
    except OSError:
        return {}
    libraries = [places[name] for name in sorted(places) if name.startswith("lib")]
    found: Dict[str, Any] = {"libraries": [libraries, ["libdw.so.1"]] if libraries else []}
    if "py-spy" in places:
        found["py_spy"] = places["py-spy"]
    return found
