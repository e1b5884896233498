"""Repro scenarios of hanging training jobs, run on real frameworks."""
