"""Ways to see something of processes without stopping them, one file each, found by being here.

A source has `sample(look)` (what changes: fields of `diagnostics.model.Sample`), `once(look)` (fields of `Process`), or
both; each gives `Fields`. One with `asked(look, wanted, until)` instead answers only when asked by its name, and begins
nothing after `until` (CLOCK_MONOTONIC). `DEADLINE`, of the others, is in seconds: what takes longer is left behind, and
the answer says so. A source with `STILL = True` looks at what does not
change while the process lives, and may do so between the samples.
"""
