"""The collector: evidence of processes, taken where they are, as plain values that travel as JSON.

It runs in a process of its own, on this machine and on others (`diagnostics.transport` starts it and reads its answer),
so all of it is CPython 3.6 and the standard library alone; tools (py-spy, pystack, gdb, eu-stack) are used where they
are. `sources` looks without stopping anybody, `stacks` reads stacks; `program` takes an order and answers.
"""
