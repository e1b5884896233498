"""What people use on a stuck job, each with the reading that a competent person gives its output."""

from __future__ import annotations

from hang_tools import flight, others, stacks
from hang_tools.form import Tool

TOOLS = (
    Tool("lastbatch", others.attach, others.diagnose),
    Tool("py-spy", stacks.reading(stacks.py_spy), stacks.reading_of("py-spy")),
    Tool("pystack", stacks.reading(stacks.pystack), stacks.reading_of("pystack")),
    Tool("gdb", stacks.reading(stacks.gdb), stacks.reading_of("gdb")),
    Tool("merged stacks", stacks.reading(stacks.pystack, by_words=False)),
    Tool("faulthandler", stacks.reading(stacks.faulthandler), stacks.reading_of("faulthandler"), prepared=True),
    Tool("torchfrtrace", flight.live, prepared=True),
)


def chosen(names: list[str]) -> list[Tool]:
    """Those of these names; `NAME=COMMAND` is one of your own. All where none is named.

    Raises: KeyError: there is none of that name."""
    known = {tool.name: tool for tool in TOOLS}
    given = [name.partition("=") for name in names]
    return [
        Tool(name, others.command(words), others.command_on_files(words)) if words else known[name]
        for name, _, words in given
    ] or list(TOOLS)
