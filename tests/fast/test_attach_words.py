"""What `attach` says before it looks at anything."""

from __future__ import annotations

import pytest

from diagnostics.cli.job_list import show_jobs
from diagnostics.discover.jobs import Job, Member, Peer


def test_a_program_of_many_lines_is_one_row(capsys: pytest.CaptureFixture[str]) -> None:
    """GIVEN ranks and a peer that run `python -c` with a whole program, THEN the list has a line for each."""
    program = ("python3", "-c", "import os\n\nfor index in range(2):\n\tos.fork()\n")
    members = tuple(Member(pid, f"worker:{pid}", "order", program) for pid in (7, 8))
    show_jobs([Job("tf-1", members, peers=(Peer("10.0.0.1:80", ("worker:7",), 9, program),))], as_json=False)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert len(lines) == 5 and "import os" in " ".join(lines), lines  # a title, the columns, three processes
