"""Probes on a framework's own functions: what happened in a job, in the order of the kernel's clock.

`elf` finds the functions, `sets` says which ones tell something, `bpftrace` runs the probes, `events` reads what they
said, `receives` and the sets judge it (pure), `memory` looks at a job that stands still already.
"""
