"""Runs a converter and follows its progress line by line."""
import asyncio
import sys

CONVERTER = """
import sys, time

def check(row):
    if row % 2:
        print(f"row {row}: bad date, kept as text " + "." * 80, file=sys.stderr)

for row in range(20000):
    check(row)
    if row % 50 == 0:
        print("converted", row, flush=True)
"""


async def follow(argv):
    child = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    print("converter is", child.pid, flush=True)
    while line := await child.stdout.readline():
        last = line
    print(last, await child.wait(), len(await child.stderr.read()))


print("READY", flush=True)
asyncio.run(follow([sys.executable, "-c", CONVERTER]))
