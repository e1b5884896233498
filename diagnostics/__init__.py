"""Attaches to stuck jobs, collects evidence, and says what it means."""
