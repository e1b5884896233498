"""Of interpreter, framework, libc and kernel, from the files that the process has mapped."""

import os
import re
from functools import lru_cache
from typing import NamedTuple, Tuple

from diagnostics.collector import procfs
from diagnostics.collector.look import Fields, Look, plain
from diagnostics.collector.sources import mounts

STILL = True

_DISTRIBUTION = re.compile(r"^(tensorflow|tensorflow_cpu|tensorflow_gpu|torch)-([0-9][^-/]*)\.(dist|egg)-info$")
_LIBRARY = re.compile(r"(.*/(?:site|dist)-packages)/(?:tensorflow(?:_core)?|torch)/")
_PYTHON = re.compile(r"libpython(\d+\.\d+)|/bin/python(\d+\.\d+)")


class Versions(NamedTuple):
    """As `diagnostics.model.Versions`."""

    python: str = ""
    framework: str = ""
    framework_version: str = ""
    libc: str = ""
    kernel: str = ""


def once(look: Look) -> Fields:
    return {pid: {"versions": plain(versions_of(pid))} for pid in look.pids}


def versions_of(pid: int) -> Versions:
    wanted = [path for path in procfs.mapped_files(pid) if _tells(path)]
    root = _root_of(pid)
    python, framework, libc = "", ("", ""), ""
    for path in mounts.answering(pid, wanted):
        match = _PYTHON.search(path)
        if match and not python:
            python = match.group(1) or match.group(2)
        match = re.search(r"/libc-(\d[\d.]+)\.so$", path)
        if not libc and match:
            libc = "glibc %s" % match.group(1)
        if not libc and path.endswith(("/libc.so.6", "/libc.musl-x86_64.so.1")):
            libc = _glibc_version(root + path)
        match = _LIBRARY.match(path)
        if match and not framework[0]:
            framework = _framework_in(root + match.group(1))
    return Versions(python, framework[0], framework[1], libc, os.uname().release)


def _tells(path: str) -> bool:
    return bool(_PYTHON.search(path) or _LIBRARY.match(path) or "/libc" in path)


def _root_of(pid: int) -> str:
    """Where the process's files are for us; "" where it sees the same, so that what is read once serves for all."""
    there = "/proc/%d/root" % pid
    try:
        same = os.readlink("/proc/%d/ns/mnt" % pid) == os.readlink("/proc/self/ns/mnt") and os.readlink(there) == "/"
    except OSError:
        same = False
    return "" if same else there


@lru_cache(maxsize=256)
def _framework_in(site_packages: str) -> Tuple[str, str]:
    """Name and release of the framework installed there: the process's own files, not this interpreter's."""
    try:
        names = sorted(os.listdir(site_packages))
    except OSError:
        return "", ""
    for name in names:
        match = _DISTRIBUTION.match(name)
        if match:
            return match.group(1).split("_")[0], match.group(2)
    return "", ""


@lru_cache(maxsize=256)
def _glibc_version(path: str) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return ""
    match = re.search(rb"GNU C Library [^\n]*version (\d+\.\d+)", data)
    return "glibc %s" % match.group(1).decode() if match else ""
