"""What the commands that give an answer share: options, and how it is printed.

The reports are imported when there is something to report: see `diagnostics.pipeline`.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from diagnostics.cli.console import BAD_NEWS, CANNOT_TELL, OK, page, print_json
from diagnostics.model import Collection, Diagnosis

LONGEST_COMMAND = 200
"""Characters of file names; the user has a longer command in the shell's history."""

Floor = Annotated[
    float,
    typer.Option(help="Seconds without an event of its recorder below which a rank is never called hung.", min=0.5),
]
Verbose = Annotated[
    bool, typer.Option("--verbose", help="After the first screen: evidence, other causes, waits of every thread.")
]


def exit_code(collection: Collection, diagnosis: Diagnosis) -> int:
    """What the answer ends a command with."""
    from diagnostics.report.verdict import is_hung

    return {True: BAD_NEWS, False: OK, None: CANNOT_TELL}[is_hung(collection, diagnosis)]


def show(
    collection: Collection,
    diagnosis: Diagnosis,
    as_json: bool,
    verbose: bool,
    written: Path | None,
    given: Sequence[Path] = (),
) -> int:
    """Print the answer; the exit code. `given`: the files that it is about, where there is no bundle of all."""
    if as_json:
        from diagnostics.report.document import as_json as document_of

        print_json(document_of(collection, diagnosis, str(written) if written else None))
    else:
        from diagnostics.report.terminal import render_diagnosis

        source = shlex.join(map(str, [written] if written else given))
        page.print(render_diagnosis(collection, diagnosis, verbose, source if len(source) <= LONGEST_COMMAND else ""))
        if written:
            page.print(f"Evidence: {written} (lastbatch report makes a page of it)", soft_wrap=True)
    return exit_code(collection, diagnosis)
