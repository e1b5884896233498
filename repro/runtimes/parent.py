"""A program that cannot outlive the one that started it."""

from __future__ import annotations

# `kill -9` of this program leaves nothing behind (PR_SET_PDEATHSIG is 1; it outlives exec). A launcher, as code between
# fork and exec may deadlock among threads.
ENDS_WITH_PARENT = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""
"""Python code; its arguments: the parent's process id, then the command."""
