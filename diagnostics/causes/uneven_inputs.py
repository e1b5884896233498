"""Ranks that have data left wait in a collective for ranks that have none.

Every rank steps through its own share of the data, and each step has a collective. The rank with a batch more comes
to one that the others never call. What carries the cause: some ranks stand in a collective, and others have left
the loop: they have finished, or stand still outside of any collective, waiting for nothing that could be slow.
"""

from __future__ import annotations

from collections.abc import Sequence

from diagnostics.analyze.facts import Facts, names
from diagnostics.causes.absent import look_at_absent
from diagnostics.causes.base import Case, Cause, Remedy
from diagnostics.causes.observe import peers, together
from diagnostics.model import Process, Role, State


def examine(facts: Facts) -> Case | None:
    inside = [(process, position) for process in peers(facts) if (position := together(process))]
    waiting = [process for process, _ in inside]
    outside = [process for process in peers(facts) if process not in waiting]
    operations = {position.operation for _, position in inside}
    if not inside or not outside or len(operations) > 1:
        return None
    case = Case("uneven-inputs")
    said = f"waits in {next(iter(operations)) or 'a collective'} for the other ranks"
    case.saw("waits", said, "stacks", names(waiting))
    if any(process.state in (State.PROGRESSING, State.SLOW) for process in waiting):
        case.saw("moves", "a rank in the collective moves", "samples", names(waiting))
    if any(position.has(Role.BARRIER) for _, position in inside):
        case.saw("barrier", "a barrier is no part of a step", "stacks", names(waiting))
    if any(position.has(Role.TEARDOWN) for _, position in inside):
        case.saw("tears-down", "it tears down, and makes no step", "stacks", names(waiting))
    look_at_absent(case, outside)
    _look_at_steps(case, waiting, outside)
    return case


def _look_at_steps(case: Case, inside: Sequence[Process], outside: Sequence[Process]) -> None:
    ahead = [p.flight.steps for p in inside if p.flight and any(span.kind == "step" for span in p.flight.open)]
    ended = [process.flight.steps for process in outside if process.flight and process.state is State.FINISHED]
    if ahead and ended and min(ahead) >= max(ended):
        said = f"is in its step {min(ahead) + 1}; the others ended after {max(ended)}"
        case.saw("one-step-more", said, "recorder", names(inside))
    elif not ahead or not ended:
        case.needs("how many batches each rank had: run with the flight recorder, or count them")


CAUSE = Cause(
    id="uneven-inputs",
    family="collective-mismatch",
    title="A rank with data left waits in a collective for ranks that have none",
    examine=examine,
    not_to_be_confused_with=(
        "A rank outside of the collective may also be slow, blocked in its own input or dead: then that is the cause, "
        "and the wait in the collective its effect."
    ),
    versions=(
        "DistributedDataParallel and other synchronous training, any release; MultiWorkerMirroredStrategy with "
        "datasets of one's own"
    ),
    remedies=(
        Remedy("steps-agreed", "Give every rank the same number of batches, or let all agree on the number of steps"),
        Remedy(
            "same-batches", "With DistributedSampler: drop_last=True, in the sampler and in the loader", only="torch"
        ),
        Remedy(
            "join-uneven",
            "Or train within DistributedDataParallel.join(), which stands in for ranks that have finished",
            only="torch",
        ),
        Remedy(
            "distributed-datasets",
            "In TensorFlow use distributed datasets: they handle an uneven end by themselves",
            only="tensorflow",
        ),
    ),
    references=(
        "https://pytorch.org/tutorials/advanced/generic_join.html",
        "https://github.com/pytorch/pytorch/issues/38174",
    ),
    scenario="ddp-uneven",
    search_for=(
        "    c10d::Reducer::finalize_backward() (libtorch_cpu.so)",
        "    _engine_run_backward (torch/autograd/graph.py)",
        "    backward (torch/_tensor.py)",
        "    train_step (train.py:17)",
    ),
)
