"""The start of `lastbatch.pyz`: unpacks what is inside, once, and runs it. Read by any Python, so that an old one can
say what it lacks.

Extension modules and programs cannot be run out of a zip file. They go to the user's cache folder; where that cannot be
written, to a temporary one that is removed at the end.
"""

import os
import sys

PYTHONS = "@PYTHONS@".split()


def main():
    here = "%d.%d" % sys.version_info[:2]
    if here not in PYTHONS:
        sys.exit(
            "lastbatch: this file is for CPython %s, and python3 is %s here. Run it as python%s lastbatch.pyz"
            % (", ".join(PYTHONS), here, PYTHONS[-1])
        )
    site = cached()
    sys.path.insert(0, site)
    sys.argv[0] = "lastbatch"
    from repro.cli import main as lastbatch

    lastbatch()


def cached():
    """The folder with everything in it. Two starts at once both unpack, and one is used."""
    import zipfile
    import zlib

    archive = os.path.dirname(os.path.abspath(__file__))
    with zipfile.ZipFile(archive) as packed:
        entries = [entry for entry in packed.infolist() if is_for_us(entry.filename)]
        mark = "%08x" % zlib.crc32(repr([(e.filename, e.CRC) for e in entries]).encode())
        home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        kept = os.path.join(home, "lastbatch", "pyz-" + mark)
        site = os.path.join(kept, "site-packages")
        if os.path.isdir(site) and os.stat(kept).st_uid == os.geteuid():
            return site
        try:
            os.makedirs(os.path.dirname(kept), 0o700, exist_ok=True)
            fresh = temporary(os.path.dirname(kept))
        except OSError:
            return os.path.join(unpack(packed, entries, temporary(None), leave=False), "site-packages")
        unpack(packed, entries, fresh, leave=True)
    try:
        os.rename(fresh, kept)
    except OSError:  # another start was first
        import shutil

        shutil.rmtree(fresh, ignore_errors=True)
    return site


def is_for_us(name):
    return ".cpython-" not in name or ".cpython-%d%d-" % sys.version_info[:2] in name


def temporary(parent):
    import tempfile

    return tempfile.mkdtemp(prefix="pyz-", dir=parent)


def unpack(packed, entries, folder, leave):
    import atexit
    import shutil

    if not leave:
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for entry in entries:
        path = packed.extract(entry, folder)
        os.chmod(path, (entry.external_attr >> 16) & 0o777 or 0o600)
    return folder


main()
