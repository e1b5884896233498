"""Attaches to stuck jobs, collects evidence, and says what it means.

`diagnostics.attach(...)` is the library call. It needs CPython 3.10 and our dependencies; the recorder, which lives in
this package too, needs neither, so nothing is imported before it is asked for.
"""

import importlib


def __getattr__(name):  # type: ignore[no-untyped-def]
    if name == "attach":
        return importlib.import_module("diagnostics.pipeline").attach
    raise AttributeError("module " + __name__ + " has no attribute " + name)
