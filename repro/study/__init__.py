"""From one hang to knowledge: rates with their uncertainty, comparisons, bisection, shrinking, verified remedies.

`rates`, `evidence` and `forecast` are arithmetic. `comparison`, `bisection` and `shrinking` decide what to try next
and when to stop, as pure functions of the trials so far, so that a study goes on where it stopped. `study` keeps
trials in one SQLite file; `worker` runs one trial; `engine` and `ray_engine` say where; `runner` joins them.
"""
