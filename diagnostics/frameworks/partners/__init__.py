"""Whom the ranks of a job that stands in `send` or `recv` wait for."""
