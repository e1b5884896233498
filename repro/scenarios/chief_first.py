"""The chief reaches its stop condition, saves and leaves while workers still train."""

from __future__ import annotations

from repro.jobs.ps import WAITS_FOR_A_PEER, ps_job
from repro.scenario import Arm, rank

SCENARIO = ps_job(
    "chief-first",
    summary="The chief saves and leaves while workers still train",
    story=(
        "The chief has done its epochs before the others, saves the model and ends. The model lacks what the others go "
        "on to train. When they are done they evaluate it in a new session, which waits for an answer of the chief, "
        "for ever, unless device filters keep it from asking. The outcome tells how many steps are in the saved model "
        "and how many were done."
    ),
    stuck=(
        Arm("leaves", "the chief leaves first; the sessions of the training are filtered, that of evaluation is not"),
    ),
    healthy=(
        Arm("last", "the chief waits for all workers at a barrier, saves last, and stays"),
        Arm("filtered", "the chief leaves first, and every session is filtered: no hang, and a wrong model"),
    ),
    cause="tf-chief-left-first",
    why="a new session asks every rank for its devices, and the chief has left",
    culprit=rank("worker:0"),
    told_in_log=WAITS_FOR_A_PEER,
)
