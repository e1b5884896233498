"""A rank is slower than its own history, but it moves. Not a hang; says what slows it, where that shows."""

from __future__ import annotations

from diagnostics.analyze.facts import Facts, names
from diagnostics.causes.base import Case, Cause, Remedy
from diagnostics.model import State

_LONG_WAY = 0.02
"""Seconds of round trip that no machine room has."""


def examine(facts: Facts) -> Case | None:
    slow = [process for process in facts.processes if process.state is State.SLOW]
    if not slow or facts.hung:
        return None
    case = Case("slow")
    case.title = f"{', '.join(names(slow))} is slower than its own history, but it moves"
    for process in slow:
        case.saw("slow", process.state_why, "recorder", [process.rank])
    _look_at_links(case, facts)
    if facts.gone:
        case.saw("gone", "a rank is gone", "processes", names(facts.gone))
    return case


def _look_at_links(case: Case, facts: Facts) -> None:
    between = [(process, one) for process in facts.processes for one in process.connections if one.peer]
    if far := [(process, one) for process, one in between if one.rtt >= _LONG_WAY]:
        process, one = max(far, key=lambda pair: pair[1].rtt)
        said = f"a round trip to {one.peer} takes {one.rtt * 1000:.0f} ms"
        case.saw("far", said, "TCP_INFO", [process.rank])
    if lossy := [(process, one) for process, one in between if one.retransmits]:
        process, one = max(lossy, key=lambda pair: pair[1].retransmits)
        said = f"{one.retransmits} segments to {one.peer} had to be sent again"
        case.saw("lossy", said, "TCP_INFO", [process.rank])
    if full := [(process, one) for process, one in between if one.unsent]:
        process, one = max(full, key=lambda pair: pair[1].unsent)
        case.saw("backlog", f"{one.unsent} bytes to {one.peer} wait to be sent", "TCP_INFO", [process.rank])
    shaped = [p for p in facts.processes for one in p.interfaces if one.discipline in ("netem", "tbf")]
    if shaped:
        case.saw("shaped", "its link is shaped", "queueing discipline", names(shaped))


CAUSE = Cause(
    id="slow",
    family="slow",
    title="A rank is slower than its own history, but it moves",
    examine=examine,
    not_to_be_confused_with=(
        "A hang: what is slow comes to an end by itself. A rank held up by its quota is `throttled`."
    ),
    versions="any",
    remedies=(
        Remedy("compare-ranks", "Compare the ranks: who is slow by itself, and who only waits for it"),
        Remedy(
            "look-at-link",
            "Look at the link (round trip, segments sent again), the disk and the neighbours on its machine",
        ),
    ),
    references=("https://man7.org/linux/man-pages/man8/ss.8.html",),
)
