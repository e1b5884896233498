"""PyTorch's Flight Recorder with its own analyzer, `torchfrtrace`, on dumps made by a preparation.

The job was started with `TORCH_FR_BUFFER_SIZE` and a thread in each rank that dumps when asked (`prepared`): gloo has
no such thing by itself. The thread also fills in the members of the groups, which gloo leaves out and `torchfrtrace`
does not go on without. Reading: `missing ranks` are the culprits, and they are elsewhere; a `Culprit rank` with another
operation, size or type is a mismatch. `No errors` is no answer. Nothing is said about where a rank stands. Dumps of
others are not given to it: it unpickles them, which runs whatever is in them.
"""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

from hang_tools.form import Answer, Job, nothing

ASKED = "dump-asked"
_MISSING = re.compile(r"missing ranks: \{([\d, ]+)\}")
_MISMATCH = re.compile(r"Culprit rank (\d+); .*?(TYPE|SIZE|DTYPE|SYNTAX)", re.I)


def live(job: Job) -> Answer:
    if not job.torch:
        return nothing("not a PyTorch job")
    ranks = job.folder / "ranks"
    ranks.mkdir(exist_ok=True)
    (job.folder / ASKED).touch()
    wanted = len(list(job.folder.glob("torch-*")))
    deadline = time.monotonic() + 15
    while len(list(ranks.glob("rank_*"))) < wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    pids = {int(path.name): int(path.read_text()) for path in (job.folder / "pids").glob("*")}
    return analyzed(ranks, job.torch, pids)


def analyzed(folder: Path, python: str, pids: dict[int, int]) -> Answer:
    """What `torchfrtrace` says. `pids`: of each rank."""
    if not any(folder.iterdir()):
        return nothing("no rank wrote a dump")
    tool = Path(python).with_name("torchfrtrace")
    said = subprocess.run(
        [str(tool), "--allow-incomplete-ranks", "--prefix", "rank_", str(folder)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return answer_of(said.stdout + said.stderr, pids)


def answer_of(text: str, pids: dict[int, int]) -> Answer:
    missing, differs = _MISSING.search(text), _MISMATCH.findall(text)
    if missing:
        ranks, family = [int(number) for number in missing[1].split(",")], "rank-elsewhere"
    elif differs:
        ranks, family = list(dict.fromkeys(int(rank) for rank, _ in differs)), "collective-mismatch"
    else:
        last = text.strip().splitlines()[-1:] or [""]
        return nothing(f"it says: {last[0][:120]}")
    return Answer(hung=True, family=family, culprit=tuple(pids.get(rank, str(rank)) for rank in ranks))
