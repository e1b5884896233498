"""Where a cluster's own word for a job is: its hosts, the command that gets there, and what to look for on each."""

from __future__ import annotations

from collections.abc import Sequence

from diagnostics.discover.places import kubernetes, slurm
from diagnostics.discover.places.ephemeral import Say
from diagnostics.errors import UsageError
from diagnostics.model import Record
from diagnostics.transport import Fleet


class Place(Record, frozen=True):
    """`fleet` is None where the job is on this machine alone."""

    fleet: Fleet | None
    words: tuple[str, ...]


def resolve(words: Sequence[str], deadline: float, image: str = "", say: Say = lambda _: None) -> Place:
    """The selectors with `slurm:77` and `k8s:...` asked of their controllers; others stay as they are.

    Args:
        image: of an ephemeral container, see `kubernetes.find`.
        say: told what is done to a pod, before it is done.

    Raises:
        UsageError: no such job, two of these at once, or an image without a pod.
        MissingError: its controller cannot be asked.
    """
    asked = [word for word in words if word.startswith(("slurm:", "k8s:"))]
    rest = tuple(word for word in words if word not in asked)
    if image and not any(word.startswith("k8s:") for word in asked):
        raise UsageError("--debug-image is for pods", "Give k8s:pod/NAME or another selector of Kubernetes")
    if not asked:
        return Place(None, rest)
    if len(asked) > 1:
        raise UsageError(f"{asked[0]} and {asked[1]} are two jobs", "Look at one after the other")
    if asked[0].startswith("slurm:"):
        fleet, name = slurm.find(asked[0].removeprefix("slurm:"), deadline)
        return Place(fleet, (name, *rest))
    return Place(kubernetes.find(asked[0].removeprefix("k8s:"), deadline, image, say), rest)
