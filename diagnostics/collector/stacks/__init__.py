"""Ways to read stacks, one file each, found by being here: each has a `COLLECTOR`.

They say what the tool said; what its words mean is told at home (`diagnostics.stacks.tools`).
"""
