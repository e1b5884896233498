"""`lastbatch mcp`: what agents use instead of the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import platformdirs
import typer

from diagnostics.cli import agents
from diagnostics.cli.console import OK, command

Keep = Annotated[
    Path | None,
    typer.Option(
        help="Folder for the bundles that attaching writes; default: bundles in lastbatch's state folder of the user.",
        metavar="FOLDER",
    ),
]


@command
def mcp(
    keep: Keep = None,
    skill: Annotated[bool, typer.Option("--skill", help="Print the skill file for agents, serve nothing.")] = False,
) -> int:
    """Serve agents: list jobs, attach, diagnose and explain a cause as tools of the Model Context Protocol.

    Speaks the protocol on standard input and output until that is closed; an agent's program starts it. The tools
    change no job and run no command that is handed in. Their answers are the documents of --json, with secrets
    redacted. It needs the extra: pip install 'lastbatch[mcp]'.

    Example: lastbatch mcp --keep /var/tmp/bundles
    """
    if skill:
        typer.echo(agents.skill(), nl=False)
        return OK
    from diagnostics.cli.agents import server

    default = platformdirs.user_state_path("lastbatch") / "bundles"
    server.server((keep or default).expanduser().absolute()).run("stdio")
    return OK
