"""Suspended tasks of asyncio, read out of a process that was never prepared for it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from diagnostics.collector.memory.asyncio_tasks import LAYOUTS
from diagnostics.collector.sources.asyncio_tasks import Coroutine, coroutines_of

PROGRAM = """
import asyncio

class Store:
    def __init__(self):
        self.rows, self.lock = asyncio.Event(), asyncio.Lock()

    async def fetch(self):
        await self.rows.wait()  # line 9

async def train(store):
    async with store.lock:
        await store.fetch()  # line 13

async def save(store):
    async with store.lock:  # line 16
        pass

async def main():
    store = Store()
    one = asyncio.create_task(train(store), name="train")
    await asyncio.sleep(0)
    await asyncio.gather(one, asyncio.create_task(save(store)))

print("up", flush=True)
asyncio.run(main())
"""


@pytest.mark.skipif(sys.version_info[1] not in LAYOUTS, reason="the layout of this interpreter is not known")
def test_each_task_is_told_with_the_coroutines_that_it_is_in(tmp_path: Path) -> None:
    program = tmp_path / "job.py"
    program.write_text(PROGRAM)
    with subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout and process.stdout.readline() == b"up\n"
            found = _when_all_are_suspended(process.pid)
        finally:
            process.kill()
    own = {
        one.task: [(frame.function, frame.line) for frame in one.frames if frame.file.endswith("job.py")]
        for one in found
    }
    assert own["train"] == [("train", 13), ("Store.fetch", 9)]
    assert [("save", 16)] in own.values()
    inner = {one.task: one.frames[-1].function for one in found}
    assert inner["train"] == "Event.wait" and "Lock.acquire" in inner.values()


def _when_all_are_suspended(pid: int) -> list[Coroutine]:
    until = time.monotonic() + 30
    while len(found := coroutines_of(pid)) < 3:
        assert time.monotonic() < until, found
        time.sleep(0.1)
    return found
