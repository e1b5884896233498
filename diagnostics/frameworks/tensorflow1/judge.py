"""From receives to a verdict: proven, refuted or not seen, with the events that show it. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict

from diagnostics.frameworks.tensorflow1 import receives as seen
from diagnostics.frameworks.tensorflow1.probes import Decoded, Event, Scope
from diagnostics.frameworks.tensorflow1.receives import Receive, Story
from diagnostics.model.trace import Escaped, NearMiss, Tally, TraceEvent, TraceResult, TraceVerdict, counted

SETTLED = 1.0
"""Seconds after which an open receive of an aborted step, or a silence, is taken for a standstill. A receive comes
back from an aborted step within milliseconds."""
EXAMPLES = 20
"""Steps, near misses and escapes that came back are listed so often at most; all are counted."""
NEAR = 100.0
"""Microseconds from a call's unprotected moment within which an abort is a near miss."""
BEFORE, AFTER = 2_000_000, 200_000_000
"""Nanoseconds around the abort from which the sequence is taken."""


def judge_receives(decoded: Decoded, scope: Scope) -> TraceResult:
    """The verdict of the probe sets about receives."""
    story = seen.follow(decoded.events)
    escaped = [receive for receive in story.receives if receive.window]
    stuck = [receive for receive in escaped if receive.open and has_settled(receive.began, scope)]
    # An escape does harm where its server never ran the step: those first.
    stuck.sort(key=lambda receive: _peer_ran(story, receive, scope) is not False)
    verdict, why = _verdict(story, stuck, decoded, scope)
    first = stuck[0] if stuck else None
    came_back = [receive for receive in escaped if receive not in stuck][-EXAMPLES:] if len(escaped) < 5000 else []
    return TraceResult(
        probe_set="",
        verdict=verdict,
        why=why,
        seconds=round((scope.ended - scope.began) / 1e9, 3),
        counts=counted(decoded.counts),
        lost=decoded.lost,
        unreadable=decoded.bad,
        escaped=tuple(_escaped(story, receive, scope) for receive in (*stuck, *came_back)),
        escaped_total=counted(Counter(receive.window for receive in escaped)),
        tallies=tallies(story, scope) if decoded.counts.get("return") else (),  # else those that are open
        near_misses=near_misses(story, scope),
        gaps=seen.gaps(story.receives),
        sequence=sequence(story, first, decoded.events, scope) if first else (),
        ran=_ranks(story, first, scope, True) if first else (),
        did_not_run=_ranks(story, first, scope, False) if first else (),
    )


def has_settled(since: int, scope: Scope) -> bool:
    """Whether the trace went on for long enough after it."""
    return scope.ended - since >= SETTLED * 1e9


def _verdict(story: Story, stuck: list[Receive], decoded: Decoded, scope: Scope) -> tuple[TraceVerdict, str]:
    if not story.latest:
        return TraceVerdict.NOT_SEEN, "no receive was started: the job stood still already, or none crosses processes"
    if not has_settled(story.latest, scope):
        left = f"; {len(stuck)} that escaped have not come back, and do not hold it" if stuck else ""
        return TraceVerdict.NOT_SEEN, f"the job still starts receives: it does not stand still{left}"
    if decoded.lost:
        return TraceVerdict.NOT_SEEN, f"the job stands still, but {decoded.lost} events were lost"
    if stuck and _peer_ran(story, stuck[0], scope) is not True:
        return TraceVerdict.PROVEN, _proof(story, stuck[0], scope)
    if stuck:
        return TraceVerdict.NOT_SEEN, "receives that escaped are open, but those that they ask ran the step"
    waiting = [receive for receive in story.receives if receive.open]
    if waiting:
        asked = ", ".join(sorted({receive.peer for receive in waiting if receive.peer}))
        return TraceVerdict.REFUTED, (
            f"the job stands still with {len(waiting)} receives open{f' to {asked}' if asked else ''}, "
            "and none of them escaped an abort"
        )
    return TraceVerdict.REFUTED, "the job stands still, and every receive that was started came back"


def _proof(story: Story, receive: Receive, scope: Scope) -> str:
    where = seen.rank_in(scope, receive.pid)
    apart = seen.distance(story, receive)
    after = "after its registration" if receive.registered else "before it was sent"
    how = {
        "A": f"was registered {apart:.1f} µs after its step's abort",
        "B": f"was aborted {apart:.1f} µs {after}, before it had a cancel callback",
    }[receive.window]
    ran = _peer_ran(story, receive, scope)
    peer = receive.peer or "its server"
    end = {
        False: f"and {peer}, which it asks, never ran the step",
        None: f"and whether {peer}, which it asks, ran the step was not traced",
    }[ran]
    return f"a receive of {where} {how}, was sent all the same and never came back; {end}"


def _pid_of(rank: str, scope: Scope) -> int | None:
    return next((pid for pid, name in scope.ranks.items() if name == rank), None)


def _peer_ran(story: Story, receive: Receive, scope: Scope) -> bool | None:
    pid = _pid_of(receive.peer, scope)
    return None if pid is None else story.ran(pid, receive)


def _ranks(story: Story, receive: Receive, scope: Scope, ran: bool) -> tuple[str, ...]:
    """Of those that ran any step: which ran that of the receive, or did not."""
    return tuple(sorted(seen.rank_in(scope, pid) for pid in story.runs if story.ran(pid, receive) is ran))


def _escaped(story: Story, receive: Receive, scope: Scope) -> Escaped:
    return Escaped(
        rank=seen.rank_in(scope, receive.pid),
        window=receive.window,
        step=f"{receive.step:x}",
        owner=f"{receive.owner:x}",
        call=f"{receive.call:x}",
        peer=receive.peer,
        thread=receive.thread,
        aborted_by=_aborter(story, receive),
        distance=round(seen.distance(story, receive), 3),
        came_back=not receive.open,
        peer_ran=_peer_ran(story, receive, scope),
    )


def _aborter(story: Story, receive: Receive) -> int:
    if receive.window == "B":
        return receive.cancelled_by
    abort = story.abort_of(receive)
    return abort.tid if abort else 0


def tallies(story: Story, scope: Scope) -> tuple[Tally, ...]:
    """The last rendezvous objects that were aborted, with how far their calls came."""
    groups: dict[tuple[int, int, int], list[Receive]] = defaultdict(list)
    for receive in story.receives:
        groups[receive.pid, receive.owner, receive.step].append(receive)
    found = []
    for (pid, owner, step), group in groups.items():
        aborts = sum(abort.numbers["step"] == step for abort in story.aborts.get((pid, owner), ()))
        if aborts:
            found.append(
                Tally(
                    rank=seen.rank_in(scope, pid), step=f"{step:x}", owner=f"{owner:x}", registered=len(group),
                    started=sum(bool(r.started) for r in group), cancelled=sum(bool(r.cancelled) for r in group),
                    returned=sum(bool(r.returned) for r in group), aborts=aborts,
                    window_a=sum(r.window == "A" for r in group), window_b=sum(r.window == "B" for r in group),
                    open=sum(r.open for r in group),
                )
            )  # fmt: skip
    return tuple(found[-EXAMPLES:])


def near_misses(story: Story, scope: Scope) -> tuple[NearMiss, ...]:
    """Aborts that came within `NEAR` of a call's unprotected moment, nearest first."""
    found = []
    for receive in story.receives:
        if not receive.cancelled or receive.window or not receive.started:
            continue
        late = (receive.cancelled - receive.started) / 1000
        if 0 <= late <= NEAR:
            found.append(NearMiss(seen.rank_in(scope, receive.pid), f"{receive.step:x}", "B", round(late, 3)))
    return tuple(sorted(found, key=lambda miss: miss.microseconds)[:EXAMPLES])


def sequence(story: Story, receive: Receive, events: tuple[Event, ...], scope: Scope) -> tuple[TraceEvent, ...]:
    """What happened around the abort that missed `receive`, in the order of the kernel's clock."""
    abort = story.abort_of(receive)
    anchor = abort.at if abort else receive.cancelled
    client = seen.rank_in(scope, receive.pid)
    moments = []

    def add(at: int, rank: str, tid: int, what: str, significant: bool = False) -> None:
        moments.append(TraceEvent(round((at - anchor) / 1000, 1), rank, tid, what, significant))

    for event in events:
        if not anchor - BEFORE <= event.at <= anchor + AFTER:
            continue
        rank = seen.rank_in(scope, event.pid)
        step = event.numbers.get("step")
        if event.kind == "run" and step == receive.step:
            add(event.at, rank, event.tid, "runs its part of the step")
        elif event.kind == "abort" and step == receive.step:
            code = seen.STATUS_WORDS.get(event.numbers["code"], str(event.numbers["code"]))
            mine = event.pid == receive.pid and abort is not None and event.at == abort.at
            add(event.at, rank, event.tid, f"aborts its receives of the step: {code}", mine)
        elif event.kind == "part" and event.pid == receive.pid and event.at >= receive.began - BEFORE:
            number = event.numbers.get("code")
            words = f"fails: {seen.STATUS_WORDS.get(number, number)}" if number else "has ended"
            add(event.at, rank, event.tid, f"master hears: part {event.numbers['part']} {words}")
    if receive.registered:
        add(receive.registered, client, receive.thread, f"registers the receive from {receive.peer}", True)
    its = "it" if receive.registered else f"the receive from {receive.peer}"
    add(receive.cancelled, client, receive.cancelled_by, f"cancels {its} in vain: there is no callback yet", True)
    if receive.started:
        add(receive.started, client, receive.thread, "sends it all the same", True)
    else:
        add(receive.seen_open, client, receive.thread, "sent it all the same: it is open by now", True)
    return tuple(sorted(moments, key=lambda moment: moment.at)[:60])
