"""`lastbatch attach --list`: the jobs seen on this machine, and their ranks."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from diagnostics.cli.console import OK, page, print_json
from diagnostics.discover.jobs import Job
from diagnostics.redact import redact_command
from diagnostics.report.text import plural


def show_jobs(jobs: Sequence[Job], as_json: bool) -> int:
    """Print them; the exit code."""
    if as_json:
        print_json({"jobs": [described(job) for job in jobs]})
        return OK
    if not jobs:
        page.print("No job is seen on this machine. Give PIDs, e.g. lastbatch attach $(pgrep -f train.py)")
    for job in jobs:
        page.print(_table(job))
    return OK


def described(job: Job) -> dict[str, object]:
    """A job as JSON."""
    return {
        "job": f"job:{job.id}",
        "ranks": tuple(
            {"rank": m.rank, "pid": m.pid, "why": m.why, "command": redact_command(m.command)} for m in job.members
        ),
        "expected": job.expected,
        "elsewhere": dict(job.elsewhere),
        "missing": job.missing,
        "absent": job.absent,
        "peers": tuple(
            {"address": p.address, "pid": p.pid, "of": p.of, "command": redact_command(p.command)} for p in job.peers
        ),
    }


MOST_ROWS = 40


def _table(job: Job) -> Table:
    title = f"job:{job.id}   {plural(len(job.members), 'process', 'processes')}"
    if job.expected:
        title += f", {len(job.expected) - len(job.missing)} of {plural(len(job.expected), 'rank')} here"
    table = Table(box=None, pad_edge=False, expand=True, title=Text(title, "bold"), title_justify="left")
    for column in ("rank", "pid", "known by"):
        table.add_column(column, overflow="fold", no_wrap=True)
    table.add_column("command", overflow="ellipsis", no_wrap=True, ratio=1)
    for member in job.members[:MOST_ROWS]:
        command_line = " ".join(" ".join(redact_command(member.command)).split())  # a program after -c has lines
        table.add_row(Text(member.rank), str(member.pid), Text(member.why), Text(command_line))
    if len(job.members) > MOST_ROWS:
        table.add_row(Text(f"and {len(job.members) - MOST_ROWS} more", "dim"), "", "", "")
    for rank, address in job.elsewhere[:MOST_ROWS]:
        table.add_row(
            Text(rank, "dim"), "", Text(f"at {address}", "dim"), Text("not on this machine: see --via", "dim")
        )
    for rank in job.absent[:MOST_ROWS]:
        table.add_row(Text(rank, "red"), "", "", Text("should be here: has ended, or was never started", "dim"))
    for peer in job.peers:
        what = " ".join(" ".join(redact_command(peer.command)).split()) or "not on this machine"
        table.add_row(
            Text("unnamed", "yellow"),
            str(peer.pid or ""),
            Text(f"talks to {', '.join(peer.of[:3])}"),
            Text(f"{peer.address} {what}"),
        )
    return table
