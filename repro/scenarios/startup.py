"""A rank that never comes up where the others look for it."""

from __future__ import annotations

from repro.jobs.ps import WAITS_FOR_A_PEER, ps_job, with_defaults
from repro.scenario import Arm

SCENARIO = ps_job(
    "startup",
    summary="A parameter server never comes up, and the others wait for it",
    story=(
        "Before the first step a session asks every rank of the cluster for its devices. One server does not answer: "
        "it still waits for its data, or it serves on another port than the others were told. Training never begins."
    ),
    stuck=(
        Arm("held", "the last server waits for a volume that is not mounted"),
        Arm("other-port", "the last server runs, on another port than the others were told"),
    ),
    healthy=(Arm("late", "the last server comes up a second after the others"),),
    cause="peer-startup",
    why="a rank that the session asks for its devices does not answer",
    settings=with_defaults(workers=1, ps=2, hang_at=0),
    culprit=lambda arm, settings: f"ps:{settings['ps'] - 1}",
    told_in_log=WAITS_FOR_A_PEER,
    slow_to_judge=("held", "other-port"),  # how long a start may take is anybody's guess
)
