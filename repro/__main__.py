"""`python -m repro` is `lastbatch`."""

from repro.cli import main

main()
