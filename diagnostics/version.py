"""The release of this program."""

from functools import cache


@cache
def release() -> str:
    """Looked up when it is asked for: the library that knows it takes long to import."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("lastbatch")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0"
