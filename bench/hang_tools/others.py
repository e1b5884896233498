"""lastbatch itself, through its command line alone, and any other command that answers in the form of the benchmark."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from diagnostics.errors import LastbatchError
from hang_tools.form import Answer, Dumps, Job, nothing

HOME = Path(__file__).parents[2]
CALM = ("none", "slow", "unknown")


def lastbatch(*arguments: str) -> Answer:
    done = subprocess.run(
        [sys.executable, "-m", "repro", *arguments, "--json"],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=300, cwd=HOME,
    )  # fmt: skip
    try:
        return answer_of(json.loads(done.stdout))
    except (ValueError, KeyError):
        return nothing(f"it ended with {done.returncode}: {done.stderr[-200:]}")


def answer_of(said: dict[str, Any]) -> Answer:
    culprits = said["culprits"]
    family = "" if said["verdict"] in CALM else said["verdict"]
    place = (culprits[0].get("position") or {}) if culprits else {}
    return Answer(
        hung=said["hung"], family=family, culprit=tuple(one["pid"] or one["rank"] for one in culprits),
        function=place.get("function", ""), abstained=not (culprits or family or said["hung"] is False),
    )  # fmt: skip


def attach(job: Job) -> Answer:
    return lastbatch("attach", *map(str, job.pids), "--out", str(job.folder / "answer.tar.zst"))


def diagnose(dumps: Dumps) -> Answer:
    return lastbatch("diagnose", *map(str, dumps.files))


def command(words: str) -> Callable[[Job], Answer]:
    """Yours: the process ids come as its last arguments, its answer is the last line of its output."""
    return lambda job: _asked([*shlex.split(words), *map(str, job.pids)])


def command_on_files(words: str) -> Callable[[Dumps], Answer]:
    return lambda dumps: _asked([*shlex.split(words), *map(str, dumps.files)])


def _asked(argv: Sequence[str]) -> Answer:
    try:
        done = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, timeout=300, check=False)
    except subprocess.TimeoutExpired:
        return nothing("no answer in 300 s")
    except OSError as error:
        raise LastbatchError(f"{argv[0]} cannot be started: {error.strerror}", "Name a program") from None
    return last_line(done.stdout)


def last_line(output: bytes) -> Answer:
    """The answer that a command printed last."""
    try:
        return msgspec.json.decode((output.strip().splitlines() or [b""])[-1], type=Answer)
    except msgspec.DecodeError as error:
        return nothing(f"no answer in the form: {error}")
