"""An agent finds a stuck program, through the client of the protocol's own SDK and the command as it is installed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import LASTBATCH, STUCK, lacking

from diagnostics.errors import MissingError


@pytest.fixture
def stuck() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", STUCK], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout and process.stdout.readline() == b"stuck\n"
            yield process
        finally:
            process.kill()


def test_an_agent_attaches_reads_the_bundle_and_has_the_cause_explained(
    stuck: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    try:
        from mcp import Client, StdioServerParameters
    except ModuleNotFoundError:
        lacking(MissingError("mcp is not installed", "pip install 'lastbatch[mcp]'"))

    async def called(client: Any, tool: str, **arguments: object) -> dict[str, Any]:
        answer = await client.call_tool(tool, arguments)
        assert not answer.is_error, answer.content
        document: dict[str, Any] = answer.structured_content
        return document

    async def story() -> None:
        command = StdioServerParameters(
            command=LASTBATCH[0], args=[*LASTBATCH[1:], "mcp", "--keep", str(tmp_path / "bundles")]
        )
        async with Client(command) as client:
            wrong = await client.call_tool("attach", {"targets": ["trainer"]})
            assert wrong.is_error and "is not a process id" in str(wrong.content)
            answer = await called(client, "attach", targets=[stuck.pid], resample=60)
            assert answer["hung"] is True
            assert answer["culprits"][0]["position"]["function"] == "waits_for_the_lock"
            (kept,) = (tmp_path / "bundles").iterdir()
            assert answer["bundle"] == str(kept) and kept.parent.stat().st_mode & 0o077 == 0
            again = await called(client, "diagnose", files=[str(kept)])
            assert again["culprits"][0]["position"]["function"] == "waits_for_the_lock"
            cause = answer["findings"][0]["cause"]
            (explained,) = (await called(client, "explain_cause", name=cause))["causes"]
            assert explained["cause"] == cause and explained["what_happens"]
            assert "jobs" in await called(client, "list_jobs")

    asyncio.run(asyncio.wait_for(story(), 240))
    assert stuck.poll() is None, "the program runs on"
