"""Asynchronous training that ends at a global step: nobody hangs, and the slow worker's rows are left out."""

from __future__ import annotations

from repro.jobs.ps import SETTINGS, ps_job
from repro.scenario import Arm, Setting

SCENARIO = ps_job(
    "global-step-stop",
    summary="No hang, a loss of coverage: training ends at a global step, a slow worker's data hardly seen",
    story=(
        "Workers train rows of their own without waiting for one another, and all stop when the global step says that "
        "as many steps were done as all epochs have rows. A fast worker sees its rows again and again, a slow one not "
        "even once. The outcome tells how many rows each worker trained, how many different ones, and how many were "
        "meant."
    ),
    healthy=(
        Arm("global-step", "a StopAtStepHook ends all workers at the same global step"),
        Arm("own-epochs", "each worker ends when it has seen its own rows often enough"),
    ),
    why="workers that do not wait for one another cannot hang one another; what is lost is coverage",
    settings=(
        *SETTINGS,
        Setting("slower", 20, "so many times longer are the pauses of all workers but the first", 1, 1000),
    ),
)
