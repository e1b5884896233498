"""Pods by name, job or label, through a stand-in for kubectl that takes no call that the real one would not."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Answer

STAND_IN = """#!{python} -S
import json, os, sys
SHOWN = 'jsonpath={{range .items[*]}}{{.metadata.name}}{{" "}}{{.status.phase}}{{"\\\\n"}}{{end}}'
words = sys.argv[1:]
space = words[1] if words[:1] == ["--namespace"] else "default"
words = words[2:] if words[:1] == ["--namespace"] else words
with open(os.path.join({home!r}, "calls"), "a") as calls:
    calls.write(space + " " + " ".join(words[:3]) + "\\n")
if words == ["get", "pods", "--selector", "training.kubeflow.org/job-name=mnist", "--output", SHOWN]:
    print("mnist-master-0 Running\\nmnist-worker-0 Pending")
elif words[:2] == ["get", "pods"]:
    assert words[2] == "--selector" and words[4:] == ["--output", SHOWN], words
elif words[:2] == ["get", "pod"] and words[3:] == ["--output", "jsonpath={{.status.phase}}"]:
    if words[2] == "gone-0":
        sys.exit('Error from server (NotFound): pods "gone-0" not found')
    print("Running", end="")
elif words == ["get", "pod", "guarded-0", "--output", "json"]:
    made = os.path.exists(os.path.join({home!r}, "made")) and open(os.path.join({home!r}, "made")).read()
    status = [{{"name": made, "state": {{"running": {{}}}}}}] if made else []
    print(json.dumps({{
        "metadata": {{"annotations": {{"kubectl.kubernetes.io/default-container": "trainer"}}}},
        "spec": {{"containers": [{{"name": "proxy"}}, {{"name": "trainer"}}]}},
        "status": {{"ephemeralContainerStatuses": status}},
    }}))
elif words[:5] == ["debug", "guarded-0", "--image=python:3.12-slim", "--target=trainer", "--profile=general"]:
    assert words[6:] == ["--quiet", "--", "sleep", "900"] and words[5].startswith("--container=lastbatch-"), words
    with open(os.path.join({home!r}, "made"), "w") as made:
        made.write(words[5].partition("=")[2])
elif words[:3] == ["exec", "-i", "guarded-0"]:
    assert words[3:] == ["--container=" + open(os.path.join({home!r}, "made")).read(), "--", "sh", "-s"], words
    os.execvp("sh", ["sh", "-s"])
elif words in (["exec", "-i", "mnist-master-0", "--", "sh", "-s"], ["exec", "-i", "trainer-0", "--", "sh", "-s"]):
    os.execvp("sh", ["sh", "-s"])
else:
    sys.exit("error: unknown command %r" % words)
"""

STUCK = """
import sys, threading
def waits_for_ever():
    lock = threading.Lock()
    with lock:
        print("stuck", flush=True)
        lock.acquire()
waits_for_ever()
"""


@pytest.fixture
def kubectl(tmp_path: Path) -> dict[str, str]:
    """An environment in which `kubectl` is the stand-in."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "kubectl").write_text(STAND_IN.format(python=sys.executable, home=str(tmp_path)))
    (folder / "kubectl").chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}


@pytest.fixture
def stuck() -> Iterator[str]:
    """A word of the command line of a process that stands still."""
    mark = uuid.uuid4().hex
    with subprocess.Popen([sys.executable, "-c", STUCK, mark], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout and process.stdout.readline()
            yield f"cmd:{mark}"
        finally:
            process.kill()


def test_the_pods_of_a_job_are_entered_and_one_that_does_not_run_is_named(
    lastbatch: Callable[..., Answer], kubectl: dict[str, str], stuck: str, tmp_path: Path
) -> None:
    answer = lastbatch("attach", "k8s:team/pytorchjob/mnist", stuck, "--json", env=kubectl, timeout=120)
    assert answer.code == 1, answer.err
    seen = {rank["host"]: rank for rank in answer.json["ranks"]}
    assert seen["mnist-master-0"]["position"]["function"] == "waits_for_ever"
    assert seen["mnist-worker-0"]["why_not"] == "the pod is pending"
    calls = (tmp_path / "calls").read_text().splitlines()
    assert {call.split()[0] for call in calls} == {"team"} and len(calls) >= 3, calls


def test_a_pod_that_may_not_trace_is_entered_through_an_ephemeral_container(
    lastbatch: Callable[..., Answer], kubectl: dict[str, str], stuck: str, tmp_path: Path
) -> None:
    words = ["attach", "k8s:pod/guarded-0", stuck, "--debug-image", "python:3.12-slim", "--json"]
    answer = lastbatch(*words, env=kubectl, timeout=120)
    assert answer.code == 1, answer.err
    (rank,) = answer.json["ranks"]
    assert rank["host"] == "guarded-0" and rank["position"]["function"] == "waits_for_ever"
    name = (tmp_path / "made").read_text()
    assert f"adding the ephemeral container {name}" in answer.err and "guarded-0" in answer.err


def test_what_is_wrong_with_a_name_is_said(lastbatch: Callable[..., Answer], kubectl: dict[str, str]) -> None:
    for word, said in (
        ("k8s:job/none", "no pod has the label job-name=none"),
        ("k8s:pod/--all", "names no pods"),
        ("k8s:deployment/x", "names no pods"),
    ):
        answer = lastbatch("attach", word, env=kubectl)
        assert answer.code == 2 and said in answer.err, answer
    answer = lastbatch("attach", "4711", "--debug-image", "python:3.12-slim", env=kubectl)
    assert answer.code == 2 and "--debug-image is for pods" in answer.err, answer
    answer = lastbatch("attach", "4711", "--host", "a", env=kubectl)
    assert answer.code == 2 and "--host is a host to look at through --via" in answer.err, answer
    answer = lastbatch("attach", "k8s:pod/gone-0", env=kubectl)
    assert answer.code == 3 and 'pods "gone-0" not found' in answer.err and answer.out == "", answer
    answer = lastbatch("attach", "k8s:job/x", env={**kubectl, "PATH": "/nowhere"})
    assert answer.code == 3 and "kubectl is not installed here" in answer.err, answer
