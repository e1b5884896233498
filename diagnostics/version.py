"""The release of this program."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("lastbatch")
except PackageNotFoundError:  # run from a checkout that is not installed
    __version__ = "0"
