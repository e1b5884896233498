"""torchrun and a group with a timeout: the evidence is on disk before the abort, and it says who was missing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from conftest import Answer

from diagnostics import bundle
from repro.runtimes import Runtime

TRAINS = """
import datetime, time
import torch
import torch.distributed as dist

def write_checkpoint():
    print("hung_at", time.time(), flush=True)
    while True:
        time.sleep(3600)

def main():
    dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=30))
    for step in range(10):
        dist.all_reduce(torch.ones(4))
        if step == 8 and dist.get_rank() == 1:
            write_checkpoint()
main()
"""


def test_evidence_is_there_before_the_timeout_of_a_group(
    lastbatch: Callable[..., Answer], runtime: Callable[[str], Runtime], tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text(TRAINS)
    torchrun = Path(runtime("torch").python).with_name("torchrun")
    job = [torchrun, "--standalone", "--nproc-per-node", 2, "train.py"]
    answer = lastbatch("watch", "--out", "w.tar.zst", "--json", "--", *job, timeout=300)
    assert answer.code == 1 and "Timed out" in answer.err, answer.err
    hung = re.search(r"hung_at ([\d.]+)", answer.out)
    collected = bundle.read(tmp_path / "w.tar.zst").collection.collected_at
    assert hung and collected < float(hung[1]) + 30, "the timeout of the group came first"
    said = json.loads(answer.out[answer.out.index("{") :])
    (culprit,) = said["culprits"]
    assert said["hung"] and culprit["position"]["function"].endswith("write_checkpoint"), answer.out
