"""The RAS service of a job, found through /proc and asked twice; imitated, since a real one needs a GPU."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from diagnostics.frameworks.nccl import enrich
from diagnostics.model import Collection, Frame, Process, Thread
from diagnostics.transport import Here, Target

SERVICE = """
import json, mmap, os, socket, sys
library, speaks = open(sys.argv[1], "rb"), sys.argv[2]
mapped = mmap.mmap(library.fileno(), 0, prot=mmap.PROT_READ)
door = socket.create_server(("127.0.0.1", 0))
os.environ["NCCL_RAS_ADDR"] = "localhost:%d" % door.getsockname()[1]
print("ready", flush=True)
heard = []
while True:
    client, _ = door.accept()
    with client, client.makefile("rw", newline="\\n") as lines:
        for line in lines:
            heard.append(line.strip())
            if speaks == "nothing":
                continue
            if line.startswith("CLIENT PROTOCOL"):
                lines.write("SERVER PROTOCOL 2\\n")
            elif line.startswith("SET FORMAT") and speaks == "text":
                lines.write("ERROR: unknown command\\n")
            elif not line.strip().endswith("STATUS"):
                lines.write("OK\\n")
            elif speaks == "text":
                said = "  1 job process is considered dead\\n  Process %d on node %s managing GPU 0\\n"
                lines.write(said % (os.getpid(), socket.gethostname()))
                break
            else:
                ranks = [{"rank": r, "pid": os.getpid() + r, "host": host, "collective_counts": {"AllReduce": 7 - r}}
                         for r, host in enumerate((socket.gethostname(), "elsewhere"))]
                one = {"hash": "0x1", "size": 2, "ranks": ranks, "heard": heard}
                lines.write(json.dumps({"nccl_version": "2.29.1", "communicators": [one]}))
                break
            lines.flush()
"""

Look = Callable[[str], Collection]


@pytest.fixture
def looked_at(tmp_path: Path) -> Iterator[Look]:
    """The collection with what a service says that speaks like this."""
    library = tmp_path / "libnccl.so.2"
    library.write_bytes(b"\0" * 4096)
    started = []

    def look(speaks: str) -> Collection:
        service = subprocess.Popen(
            [sys.executable, "-c", SERVICE, str(library), speaks], stdout=subprocess.PIPE, text=True
        )
        started.append(service)
        assert service.stdout and service.stdout.readline() == "ready\n"
        threads = (Thread(1, "nccl", (Frame("rasThreadMain", "/v/libnccl.so.2", native=True),)),)
        host = socket.gethostname()
        ranks = (
            Process("worker:0", service.pid, host, threads=threads, listens=("127.0.0.1:1",)),
            Process("worker:1", service.pid + 1, "elsewhere"),
        )
        return enrich.look(Collection(0.0, 0.0, ranks), Here((Target(service.pid),)))

    yield look
    for service in started:
        service.kill()
        service.wait()
        assert service.stdout
        service.stdout.close()


def test_the_service_is_found_and_says_who_is_behind(looked_at: Look) -> None:
    collection = looked_at("json")
    facts = collection.processes[0].facts
    assert not collection.left_out
    assert any(one.about == ("worker:1",) and "AllReduce up to number 6" in one.words for one in facts)
    assert not any("moves" in one.words for one in facts), "it was asked twice, and nothing was launched in between"


def test_a_release_without_json_is_asked_for_text(looked_at: Look) -> None:
    collection = looked_at("text")
    assert any(one.about == ("worker:0",) and "considered dead" in one.words for one in collection.processes[0].facts)


def test_a_service_that_does_not_answer_costs_seconds_and_is_told(looked_at: Look) -> None:
    (reason,) = looked_at("nothing").left_out
    assert "did not answer" in reason
