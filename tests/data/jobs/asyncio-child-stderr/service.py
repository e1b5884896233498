"""Conversion service: runs the converter for each file and follows its output."""
import asyncio
import pathlib
import signal
import sys
import time

CONV = str(pathlib.Path(__file__).with_name("convert.py"))


class Progress:
    def __init__(self):
        self.line, self.since = "", time.monotonic()

    def set(self, line):
        self.line, self.since = line, time.monotonic()


async def run_one(name, rows, progress):
    proc = await asyncio.create_subprocess_exec(
        sys.executable, CONV, str(rows), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    print("converter", proc.pid, flush=True)
    if name == "large":
        print("hung_at", time.time(), flush=True)
    while True:
        line = await proc.stdout.readline()
        if not line:
            break
        progress.set(line.decode().strip())
    err = await proc.stderr.read()
    print(name, "exit", await proc.wait(), "warnings", err.count(b"\n"), flush=True)


async def pulse(progress):
    while True:
        await asyncio.sleep(2)
        print("pulse:", progress.line, f"{time.monotonic() - progress.since:.0f}s", flush=True)


async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    progress = Progress()
    beat = asyncio.create_task(pulse(progress))
    for name, rows in [("small", 400), ("medium", 900), ("large", 30000)]:
        await run_one(name, rows, progress)
    beat.cancel()


asyncio.run(main())
