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
    between = [(process, link) for process in facts.processes for link in process.connections if link.peer]
    if far := [(process, link) for process, link in between if link.rtt >= _LONG_WAY]:
        process, link = max(far, key=lambda pair: pair[1].rtt)
        said = f"a round trip to {link.peer} takes {link.rtt * 1000:.0f} ms"
        case.saw("far", said, "TCP_INFO", [process.rank])
    if lossy := [(process, link) for process, link in between if link.retransmits]:
        process, link = max(lossy, key=lambda pair: pair[1].retransmits)
        said = f"{link.retransmits} segments to {link.peer} had to be sent again"
        case.saw("lossy", said, "TCP_INFO", [process.rank])
    if full := [(process, link) for process, link in between if link.unsent]:
        process, link = max(full, key=lambda pair: pair[1].unsent)
        case.saw("backlog", f"{link.unsent} bytes to {link.peer} wait to be sent", "TCP_INFO", [process.rank])
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
