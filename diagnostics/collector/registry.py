"""Modules that are found, not listed. CPython 3.6, the standard library alone."""

import importlib
import os
from types import ModuleType
from typing import Iterable, List


def modules_in(package: ModuleType) -> List[ModuleType]:
    """All modules that lie in a package's folder, on disk or carried along, by their names."""
    names = sorted({name for place in package.__path__ for name in _names_in(place)})
    return [importlib.import_module("%s.%s" % (package.__name__, name)) for name in names]


def _names_in(place: str) -> Iterable[str]:
    try:
        files = os.listdir(place)
    except OSError:
        import pkgutil  # takes a while to import, and is needed for what is carried along alone

        return [info[1] for info in pkgutil.iter_modules([place])]
    return [name[: -len(".py")] for name in files if name.endswith(".py") and name != "__init__.py"]
