"""Who waits for whom, as far as the evidence carries it."""

from __future__ import annotations

from diagnostics.analyze.facts import stack_has
from diagnostics.analyze.progress import silence_of
from diagnostics.model import Collection, Process, Wait

_CLIENT_CALLS = ("LocalMaster::RunStep", "GrpcRemoteMaster::RunStep")


def find_waits(collection: Collection) -> tuple[Wait, ...]:
    """A client in RunStep waits for the peers that it is connected to; which of them, stacks do not tell."""
    waits = []
    for process in collection.processes:
        if any(stack_has(thread, [call]) for thread in process.threads for call in _CLIENT_CALLS):
            waits += [_wait(process, peer, quiet) for peer, quiet in _peers(process).items()]
    return tuple(waits)


def _peers(process: Process) -> dict[str, float]:
    quiet: dict[str, float] = {}
    for link in process.connections:
        if link.peer and link.peer != process.rank:
            quiet[link.peer] = min(link.quiet, quiet.get(link.peer, link.quiet))
    return dict(sorted(quiet.items()))


def _wait(process: Process, peer: str, quiet: float) -> Wait:
    seconds = silence_of(process.flight) if process.flight else -1.0
    heard = f"; nothing moved between them for {quiet:.1f} s" if quiet >= 0 else ""
    why = f"in RunStep, may wait for a tensor or the end of its part of the step{heard}"
    return Wait(process.rank, peer, why, seconds)
