"""Imports modules from texts in memory, as if they lay in folders: what runs elsewhere leaves nothing there.

The standard library alone, CPython 3.6 and later. This text travels first; `install` then makes the rest importable.
"""

import sys
from importlib.machinery import ModuleSpec
from typing import Any, Dict, Iterator, Optional, Tuple

PREFIX = "lastbatch-carried:"
_files: Dict[str, str] = {}


class Carried(object):
    """Finds modules below one carried folder (importlib's path entry finder), and loads them."""

    def __init__(self, entry: str) -> None:
        if not entry.startswith(PREFIX):
            raise ImportError(entry)
        self._home = entry[len(PREFIX) :]

    def find_spec(self, name: str, target: Any = None) -> Optional[ModuleSpec]:
        base = self._home + name.rpartition(".")[2]
        if base + "/__init__.py" in _files:
            spec = ModuleSpec(name, self, origin=base + "/__init__.py", is_package=True)  # type: ignore[arg-type]
            spec.submodule_search_locations = [PREFIX + base + "/"]
            return spec
        return ModuleSpec(name, self, origin=base + ".py") if base + ".py" in _files else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: Any) -> None:
        origin = module.__spec__.origin
        exec(compile(_files[origin], origin, "exec"), module.__dict__)

    def iter_modules(self, prefix: str = "") -> Iterator[Tuple[str, bool]]:
        """For pkgutil: what lies in this folder."""
        for path in sorted(_files):
            folder, _, name = path.rpartition("/")
            if folder + "/" == self._home and name != "__init__.py":
                yield prefix + name[: -len(".py")], False


def install(files: Dict[str, str]) -> None:
    """Make modules importable, given by their paths (`diagnostics/collector/program.py`) and texts."""
    _files.update(files)
    sys.path_hooks.insert(0, Carried)
    sys.path.insert(0, PREFIX)
