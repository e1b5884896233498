"""`k8s:pod/NAME`, `k8s:job/NAME`, `k8s:pytorchjob/NAME`, `k8s:LABEL=VALUE`: pods, entered by `kubectl exec`, where the
user gives an image also through an ephemeral container.

A namespace stands in front: `k8s:NAMESPACE/pod/NAME`; without one kubectl's own counts.
"""

from __future__ import annotations

import re
import shlex

from diagnostics.discover.places import ephemeral
from diagnostics.discover.places.asking import ask
from diagnostics.discover.places.ephemeral import Say
from diagnostics.errors import UsageError
from diagnostics.transport import Fleet

_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?")
_LABEL = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_./]*)=[-A-Za-z0-9_.]+")
_BY_LABEL = {
    "job": "job-name",
    # The training operator's, https://www.kubeflow.org/docs/components/trainer/legacy-v1/
    **dict.fromkeys(("pytorchjob", "tfjob", "mpijob", "jaxjob", "xgboostjob"), "training.kubeflow.org/job-name"),
}
_SHOWN = r'jsonpath={range .items[*]}{.metadata.name}{" "}{.status.phase}{"\n"}{end}'


def find(word: str, deadline: float, image: str = "", say: Say = lambda _: None) -> Fleet:
    """The pods that it names.

    Args:
        image: of an ephemeral container, for pods whose own containers may not trace; "": none is made.
        say: told what is done to the pods, before it is done.

    Raises:
        UsageError: it names none.
        MissingError: kubectl is not there, or its server does not answer.
    """
    space, kind, name, label = _parse(word)
    kubectl = ("kubectl", *(("--namespace", space) if space else ()))
    pods, down = _named(kubectl, name) if kind == "pod" else _labelled(kubectl, label)
    container = ""
    if image and (up := [pod for pod in pods if pod not in dict(down)]):
        container, barred = ephemeral.choose(kubectl, up, image, deadline, say)
        down = (*down, *barred)
    entered = f"--container={container} " if container else ""
    return Fleet(pods, f"{shlex.join(kubectl)} exec -i {{host}} {entered}--", deadline, down)


Pods = tuple[tuple[str, ...], tuple[tuple[str, str], ...]]
"""Their names, and those of them that do not run, with why."""


def _named(kubectl: tuple[str, ...], name: str) -> Pods:
    """`kubectl exec` asks for the pod as well, so whoever may do that may do this."""
    return _those_up({name: ask(*kubectl, "get", "pod", name, "--output", "jsonpath={.status.phase}").strip()})


def _labelled(kubectl: tuple[str, ...], label: str) -> Pods:
    said = ask(*kubectl, "get", "pods", "--selector", label, "--output", _SHOWN)
    phases = dict(line.split(" ", 1) for line in said.splitlines() if " " in line)
    if not phases:
        raise UsageError(f"no pod has the label {label}", f"See the labels of {shlex.join(kubectl[:1])} get pods")
    return _those_up(phases)


def _those_up(phases: dict[str, str]) -> Pods:
    down = tuple((pod, f"the pod is {phase.lower()}") for pod, phase in phases.items() if phase != "Running")
    return tuple(phases), down


def _parse(word: str) -> tuple[str, str, str, str]:
    """Namespace, kind, name, label."""
    wrong = UsageError(
        f"k8s:{word} names no pods", "Give k8s:pod/NAME, k8s:job/NAME, k8s:pytorchjob/NAME or k8s:LABEL=VALUE"
    )
    if _LABEL.fullmatch(word):
        return "", "", "", word
    *space, kind, name = word.split("/") if "/" in word else ("", "")
    if len(space) > 1 or not all(map(_NAME.fullmatch, (*space, name))) or kind not in ("pod", *_BY_LABEL):
        raise wrong
    return (space[0] if space else ""), kind, name, f"{_BY_LABEL.get(kind, '')}={name}"
