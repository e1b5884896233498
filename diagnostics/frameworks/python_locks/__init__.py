"""Locks of Python, which have no owner: who holds them, by the source."""
