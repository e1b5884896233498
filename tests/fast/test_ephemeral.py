"""Into which pods an ephemeral container goes, and that it is said before it is done; kubectl is a table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from diagnostics.discover.places import ephemeral
from diagnostics.errors import MissingError

Pod = dict[str, Any]


def pod(*containers: Pod, **spec: Any) -> Pod:
    return {"metadata": {}, "spec": {"containers": list(containers), **spec}}


def adds(*capabilities: str, **context: Any) -> Pod:
    return {"name": "main", "securityContext": {"capabilities": {"add": list(capabilities)}, **context}}


@pytest.mark.parametrize(
    ("one", "may"),
    [
        (pod({"name": "main"}), False),
        (pod({"name": "main", "securityContext": {"privileged": True}}), True),
        (pod(adds("SYS_PTRACE")), True),
        (pod(adds("CAP_SYS_PTRACE", "NET_ADMIN")), True),
        (pod(adds("NET_ADMIN")), False),
        (pod(adds("SYS_PTRACE", runAsUser=1000)), False),
        (pod(adds("SYS_PTRACE", runAsUser=0), securityContext={"runAsUser": 1000}), True),
        (pod(adds("SYS_PTRACE"), securityContext={"runAsNonRoot": True}), False),
        (pod({"name": "main", "securityContext": None}, securityContext=None), False),
        (pod({"name": "main"}, adds("SYS_PTRACE")), False),
    ],
)
def test_who_enters_may_trace_as_root_with_the_capability(one: Pod, may: bool) -> None:
    assert ephemeral.may_trace(one) is may


def test_the_container_that_kubectl_enters_is_looked_at() -> None:
    one = pod({"name": "proxy"}, adds("SYS_PTRACE"))
    one["metadata"] = {"annotations": {"kubectl.kubernetes.io/default-container": "main"}}
    assert ephemeral.target_of(one)["name"] == "main" and ephemeral.may_trace(one)


class Kubectl:
    """Has these pods, lets some be debugged, and notes what is asked and said in order."""

    def __init__(
        self, pods: Mapping[str, Pod], refused: Mapping[str, str] = {}, broken: Mapping[str, str] = {}
    ) -> None:
        self.pods, self.refused, self.broken = dict(pods), refused, broken
        self.no_exec: dict[str, str] = {}
        self.told: list[str] = []

    def ask(self, *words: str) -> str:
        verb, name = words[1], words[3] if words[1] == "get" else words[2]
        if verb == "exec":
            assert words[3:] == ("--", "sh", "-c", ":")
            if name in self.no_exec:
                raise MissingError(f"kubectl: {self.no_exec[name]}")
            return ""
        if verb == "get":
            return json.dumps(self.pods[name])
        self.told.append(f"debug {name}")
        if name in self.refused:
            raise MissingError(f"kubectl: {self.refused[name]}")
        container = next(word.partition("=")[2] for word in words if word.startswith("--container="))
        reason = self.broken.get(name)
        state = {"terminated": {"reason": reason}} if reason else {"running": {}}
        self.pods[name] |= {"status": {"ephemeralContainerStatuses": [{"name": container, "state": state}]}}
        return ""

    def choose(self, monkeypatch: pytest.MonkeyPatch) -> ephemeral.Way:
        monkeypatch.setattr(ephemeral, "ask", self.ask)
        return ephemeral.choose(("kubectl",), tuple(self.pods), "python:3.12-slim", 60, self.told.append)


def test_nothing_is_added_where_all_may_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl = Kubectl({"a": pod(adds("SYS_PTRACE"))})
    assert kubectl.choose(monkeypatch) == ("", ())
    assert len(kubectl.told) == 1 and "without an ephemeral container" in kubectl.told[0]


@pytest.mark.parametrize(
    ("said", "added"),
    [
        ('error: failed to exec in container: exec: "sh": executable file not found in $PATH: unknown', True),
        ("command terminated with exit code 126", True),
        ('Error from server (Forbidden): pods "a" is forbidden: cannot create resource "pods/exec"', False),
    ],
)
def test_an_image_without_a_shell_takes_one_and_a_missing_right_does_not(
    said: str, added: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubectl = Kubectl({"a": pod(adds("SYS_PTRACE"))})
    kubectl.no_exec["a"] = said
    assert bool(kubectl.choose(monkeypatch).container) is added
    assert ("have no shell in a" in kubectl.told[0]) is added and ("debug a" in kubectl.told) is added


def test_it_is_said_before_it_is_done_and_who_refuses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    three = {name: pod({"name": "main"}) for name in "abc"}
    kubectl = Kubectl(three, refused={"b": "forbidden: violates PodSecurity"}, broken={"c": "ErrImagePull"})
    name, down = kubectl.choose(monkeypatch)
    assert name.startswith("lastbatch-") and kubectl.told[1:] == ["debug a", "debug b", "debug c"]
    assert name in kubectl.told[0] and "a, b, c" in kubectl.told[0]
    assert "violates PodSecurity" in dict(down)["b"] and "ErrImagePull" in dict(down)["c"] and len(down) == 2


def test_where_all_refuse_the_other_way_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl = Kubectl({"a": pod({"name": "main"})}, refused={"a": "forbidden"})
    with pytest.raises(MissingError, match="forbidden") as caught:
        kubectl.choose(monkeypatch)
    assert "--debug-image" in caught.value.hint


def test_an_image_that_does_not_come_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = [{"name": "x", "state": {"waiting": {"reason": "ImagePullBackOff"}}}]
    assert ephemeral.state_of({"status": {"ephemeralContainerStatuses": waiting}}, "x") == (
        "waiting",
        "ImagePullBackOff",
    )
    monkeypatch.setattr(ephemeral, "ask", lambda *_: json.dumps({"status": {"ephemeralContainerStatuses": waiting}}))
    assert ephemeral._wait(("kubectl",), "a", "x", until=0.0) == "ImagePullBackOff"


@pytest.mark.parametrize("name", ["sidecar", "daemonset"])
def test_a_manifest_gives_its_container_what_tracing_takes(name: str) -> None:
    yaml = pytest.importorskip("yaml")
    made = yaml.safe_load((Path(__file__).parents[2] / "docs" / "kubernetes" / f"{name}.yaml").read_text())
    spec = made["spec"] if made["kind"] == "Pod" else made["spec"]["template"]["spec"]
    ours = next(container for container in spec["containers"] if container["name"] == "lastbatch")
    assert ephemeral.may_trace(pod(ours))
    assert spec.get("shareProcessNamespace") or spec.get("hostPID"), "it sees the job's processes"
    assert not ours["securityContext"].get("privileged") and ours["resources"]["limits"]["memory"]
    assert {mount["name"] for mount in ours["volumeMounts"]} == {volume["name"] for volume in spec["volumes"]}
    if made["kind"] == "DaemonSet":
        assert made["spec"]["selector"]["matchLabels"] == made["spec"]["template"]["metadata"]["labels"]
