"""What frameworks keep in the memory of their processes, read without stopping or asking anybody (man 5 proc, the
rights of ptrace). Objects are found by what must be true of them. CPython 3.6 and later, the standard library alone."""
