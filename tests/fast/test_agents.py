"""What agents are told, and what they get from the tools; the server with the SDK's own client in one process."""

from __future__ import annotations

import asyncio
import re
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import lacking

from diagnostics import causes, pipeline
from diagnostics.cli import agents
from diagnostics.cli.agents import tools
from diagnostics.cli.diagnose import read_evidence
from diagnostics.discover.jobs import Job, Member
from diagnostics.errors import MissingError, UsageError
from diagnostics.report.html import render_html
from repro import cli

Story = Callable[[Any], Awaitable[None]]
DUMP = """Thread 0x00007f0000000740 (most recent call first):
  File "train.py", line 12 in upload
  File "train.py", line 20 in <module>
"""


@pytest.fixture
def served(tmp_path: Path) -> Callable[[Story], None]:
    """Tell a story to the server, through a client."""
    try:
        from mcp import Client

        from diagnostics.cli.agents import server
    except ModuleNotFoundError:
        lacking(MissingError("mcp is not installed", "pip install 'lastbatch[mcp]'"))

    async def tell(story: Story) -> None:
        async with Client(server.server(tmp_path / "bundles")) as client:
            await asyncio.wait_for(story(client), 120)

    return lambda story: asyncio.run(tell(story))


@pytest.fixture
def open_gate() -> Iterator[threading.Event]:
    """Whoever still waits for it when a test ends is let go."""
    gate = threading.Event()
    yield gate
    gate.set()


def test_every_cause_and_every_family_is_explained() -> None:
    listed = tools.explain_cause("")["causes"]
    assert {one["cause"] for one in listed} == {cause.id for cause in causes.load()} and len(listed) > 40
    for one in listed:
        (whole,) = tools.explain_cause(one["cause"])["causes"]
        assert whole["what_happens"] and whole["remedies"] and whole["not_to_be_confused_with"]
        family = tools.explain_cause(one["family"])["causes"]
        assert one["cause"] in {member["cause"] for member in family} or one["family"] in {m["cause"] for m in family}


def test_a_name_that_is_nearly_right_is_offered() -> None:
    with pytest.raises(UsageError, match="Did you mean lock-order"):
        tools.explain_cause("lock-ordr")


@pytest.mark.parametrize("files", [[], ["-"], ["dump.txt", "-"]])
def test_the_input_of_the_protocol_is_no_dump(files: list[str]) -> None:
    with pytest.raises(UsageError, match="which files"):
        tools.diagnose(files, threads=False)


def test_stacks_of_threads_are_left_out_unless_they_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "worker-0.txt").write_text(DUMP)
    short, whole = (tools.diagnose([str(tmp_path / "worker-0.txt")], threads=asked) for asked in (False, True))
    assert whole["ranks"][0].pop("threads") and short == whole
    assert short["ranks"][0]["rank"] == "worker:0"


def test_secrets_of_a_log_are_not_in_the_answer(tmp_path: Path) -> None:
    """GIVEN a line that is shown as evidence, and a traceback with a secret in its message."""
    secret = "hunter2hunter2"
    timeout = (
        "[rank0]:[E ProcessGroupNCCL.cpp:616] [Rank 0] Watchdog caught collective operation timeout: WorkNCCL("
        "SeqNum=11, OpType=ALLREDUCE, NumelIn=4, NumelOut=4, Timeout(ms)=600000) "
        "ran for 600012 milliseconds before timing out."
    )
    (tmp_path / "rank0.log").write_text(f"{timeout} password={secret}\n")
    (tmp_path / "rank1.log").write_text(
        "Traceback (most recent call last):\n"
        '  File "train.py", line 3, in <module>\n'
        f'    connect("https://me:{secret}@store")\n'
        f"ConnectionError: https://me:{secret}@store\n"
    )
    answer = tools.diagnose([str(tmp_path)], threads=True)
    assert "ran for 600012 milliseconds" in str(answer), "the line is shown"
    assert secret not in str(answer)
    collection, _ = read_evidence([tmp_path])
    assert secret not in render_html(*pipeline.explain(collection))


def test_what_a_process_calls_itself_is_made_harmless(monkeypatch: pytest.MonkeyPatch) -> None:
    member = Member(10, "worker:0", "RANK", ("python", "train.py", "--password=hunter2", "\x1b[31m\u202e"))
    monkeypatch.setattr(tools, "jobs_here", lambda: (Job("torch-29500", (member,)),))
    (job,) = tools.list_jobs()["jobs"]
    said = str(job["ranks"][0]["command"])
    assert "train.py" in said and "hunter2" not in said and "\x1b" not in said and "\u202e" not in said


def test_the_skill_names_the_tools_and_the_fields_that_there_are(served: Callable[[Story], None]) -> None:
    text = agents.instructions()
    front = agents.skill().removesuffix(text + "\n")
    assert re.match(r"---\nname: lastbatch\ndescription: .{40,}", front) and not text.startswith("---")

    async def story(client: Any) -> None:
        offered = (await client.list_tools()).tools
        for tool in offered:
            assert tool.annotations.read_only_hint == (tool.name != "attach") and len(tool.description) > 80
            assert not tool.annotations.destructive_hint
            assert f"`{tool.name}`" in text
            for name, field in tool.input_schema["properties"].items():
                assert field["description"], (tool.name, name)
        assert {tool.name for tool in offered} == {"list_jobs", "attach", "diagnose", "explain_cause"}
        assert client.instructions == text

    served(story)
    shown = tools.diagnose([str(Path(__file__).parents[1] / "data" / "dumps")], threads=False)
    for name in ("hung", "culprits", "findings", "ranks", "errors", "bundle", "verdict", "next_evidence"):
        assert name in shown and f"`{name}`" in text


def test_an_error_says_what_to_do(served: Callable[[Story], None]) -> None:
    async def story(client: Any) -> None:
        for name, arguments, said in (
            ("diagnose", {"files": ["-"]}, "which files"),
            ("diagnose", {"files": ["/nowhere/at/all"]}, "/nowhere/at/all"),
            ("explain_cause", {"name": "lock-ordr"}, "Did you mean lock-order"),
        ):
            answer = await client.call_tool(name, arguments)
            assert answer.is_error and said in answer.content[0].text, answer

    served(story)


def test_the_server_answers_while_a_tool_works(
    served: Callable[[Story], None], open_gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attaching ends only when the other call, which came later, was answered."""
    begun = threading.Event()

    def attach(*_: object) -> dict[str, Any]:
        begun.set()
        return {"answered_meanwhile": open_gate.wait(100)}

    monkeypatch.setattr(tools, "attach", attach)

    async def story(client: Any) -> None:
        attaching = asyncio.create_task(client.call_tool("attach", {"targets": [4711]}))
        await asyncio.to_thread(begun.wait, 100)
        assert not (await client.call_tool("explain_cause", {})).is_error
        open_gate.set()
        assert (await attaching).structured_content == {"answered_meanwhile": True}

    served(story)


def test_a_call_that_takes_too_long_is_given_up(
    served: Callable[[Story], None], open_gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diagnostics.cli.agents import server

    monkeypatch.setitem(server.LONGEST, "diagnose", 0.05)
    monkeypatch.setattr(tools, "diagnose", lambda *_: {"late": open_gate.wait(100)})

    async def story(client: Any) -> None:
        answer = await client.call_tool("diagnose", {"files": ["a.txt"]})
        assert answer.is_error and "Ask for fewer processes or files" in answer.content[0].text

    served(story)


@pytest.mark.parametrize("absent", ["anyio", "mcp.server.mcpserver", "pydantic"])
def test_without_the_extra_it_is_said_what_to_install(
    absent: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "diagnostics.cli.agents.server", raising=False)
    monkeypatch.delattr(agents, "server", raising=False)
    monkeypatch.setitem(sys.modules, absent, None)
    monkeypatch.setattr(sys, "argv", ["lastbatch", "mcp"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 3 and "pip install 'lastbatch[mcp]'" in capsys.readouterr().err
