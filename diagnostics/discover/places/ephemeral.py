"""A way into pods whose containers may not trace, or have no shell: an ephemeral container, made by `kubectl debug`.

It shares the process namespace of the container that it targets, and its profile `general` gives it SYS_PTRACE
(https://kubernetes.io/docs/tasks/debug/debug-application/debug-running-pod/). It cannot be taken out of a pod again:
so it is made only where the user gave an image for it, said before it is made, and ends by itself.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from diagnostics.discover.places.asking import ask
from diagnostics.errors import MissingError

LIFETIME = 900
"""Seconds until it ends by itself."""
TRACING = frozenset({"SYS_PTRACE", "CAP_SYS_PTRACE", "ALL"})
_OFTEN = 0.5
_NO_SHELL = re.compile(r"executable file not found|no such file or directory|exit code 12[67]\b")
"""As runtimes say it, through kubectl; and what a shell would end with."""

Say = Callable[[str], None]


class Way(NamedTuple):
    """The container through which to enter; "": the pods' own. `down`: pods into which there is no way, with why."""

    container: str
    down: tuple[tuple[str, str], ...] = ()


def choose(kubectl: Sequence[str], pods: Sequence[str], image: str, deadline: float, say: Say) -> Way:
    """The pods' own containers where each of them may trace and has a shell, else one that is added to each.

    Raises:
        MissingError: it could be added to none.
    """
    found = {pod: _pod(kubectl, pod) for pod in pods}
    barred = [pod for pod in pods if not may_trace(found[pod])]
    lacking = [pod for pod in pods if pod not in barred and not _has_shell(kubectl, pod)]
    if not barred and not lacking:
        say("the pods' containers may trace: looking through kubectl exec, without an ephemeral container")
        return Way("")
    reason = f"may not trace in {', '.join(barred)}" if barred else f"have no shell in {', '.join(lacking)}"
    name = f"lastbatch-{secrets.token_hex(4)}"
    say(
        f"adding the ephemeral container {name} ({image}, with SYS_PTRACE) to {', '.join(pods)}, as containers "
        f"{reason}. It ends after {LIFETIME // 60} min, and stays in the pod's list"
    )
    why_not: dict[str, str] = {}
    for pod in pods:
        target = target_of(found[pod])["name"]
        try:
            ask(
                *kubectl, "debug", pod, f"--image={image}", f"--target={target}", "--profile=general",
                f"--container={name}", "--quiet", "--", "sleep", str(LIFETIME),
            )  # fmt: skip
        except MissingError as error:
            why_not[pod] = f"no ephemeral container could be added: {error.message}"
    until = time.monotonic() + deadline
    for pod in (pod for pod in pods if pod not in why_not):
        if reason := _wait(kubectl, pod, name, until):
            why_not[pod] = f"its ephemeral container does not run: {reason}"
    if len(why_not) == len(pods):
        raise MissingError(next(iter(why_not.values())), "Without --debug-image the pods are entered by kubectl exec")
    return Way(name, tuple(why_not.items()))


def target_of(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    """The container that kubectl exec enters: the one that the pod names, else the first."""
    containers: list[Mapping[str, Any]] = pod["spec"]["containers"]
    named = pod["metadata"].get("annotations", {}).get("kubectl.kubernetes.io/default-container")
    return next((container for container in containers if container["name"] == named), containers[0])


def may_trace(pod: Mapping[str, Any]) -> bool:
    """Whether the security contexts say that who enters may, whatever the kernel's ptrace_scope is.

    A capability is of use to root alone: for other users it is only in the bounding set.
    """
    context = (pod["spec"].get("securityContext") or {}) | (target_of(pod).get("securityContext") or {})
    added = (context.get("capabilities") or {}).get("add") or ()
    has_it = bool(context.get("privileged")) or not TRACING.isdisjoint(added)
    return has_it and not context.get("runAsUser") and not context.get("runAsNonRoot")


def state_of(pod: Mapping[str, Any], name: str) -> tuple[str, str]:
    """Of an ephemeral container: `running`, `waiting` or `terminated`, and the reason that is given."""
    for status in pod.get("status", {}).get("ephemeralContainerStatuses") or ():
        if status["name"] == name:
            for state, details in status.get("state", {}).items():
                return state, details.get("reason", "")
    return "waiting", ""


def _has_shell(kubectl: Sequence[str], pod: str) -> bool:
    """False where the container has none; another failure (a right, the network) is not a matter of the container."""
    try:
        ask(*kubectl, "exec", pod, "--", "sh", "-c", ":")
    except MissingError as error:
        return not _NO_SHELL.search(error.message)
    return True


def _wait(kubectl: Sequence[str], pod: str, name: str, until: float) -> str:
    """Until it runs; else why it does not."""
    while True:
        state, reason = state_of(_pod(kubectl, pod), name)
        if state == "running":
            return ""
        if state == "terminated" or time.monotonic() > until:
            return reason or f"it is {state}"
        time.sleep(_OFTEN)


def _pod(kubectl: Sequence[str], name: str) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = json.loads(ask(*kubectl, "get", "pod", name, "--output", "json"))
    except ValueError:
        raise MissingError(f"kubectl gave no JSON for the pod {name}", "Check what kubectl get pod says") from None
    return found
