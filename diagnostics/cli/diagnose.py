"""The commands that look at what was collected: diagnose, report; and what they share with attach."""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from diagnostics import bundle, importers, pipeline
from diagnostics.analyze.progress import Limits
from diagnostics.cli.console import OK, Json, command, page, print_json
from diagnostics.cli.showing import Floor, Verbose, show
from diagnostics.errors import MissingError, UsageError
from diagnostics.model import Collection, Diagnosis, StageError
from diagnostics.redact import redact_collection
from diagnostics.report.folded import render_folded
from diagnostics.report.markdown import render_markdown
from diagnostics.report.moved import compare, comparison_document, comparison_lines
from diagnostics.report.text import sanitize
from diagnostics.report.trace import render_speedscope, render_trace


def read_evidence(paths: list[Path]) -> tuple[Collection, tuple[StageError, ...]]:
    """All files as one collection: hosts of a job that were collected one by one, dumps of its ranks by other tools.

    With the files that could not be read, and why. Secrets in other tools' files are covered, as they are in bundles.

    Raises:
        LastbatchError: none could be read; the first reason.
    """
    files = list(dict.fromkeys(importers.files_of(paths)))
    of_ours = [file for file in files if _is_bundle(file)]
    bundles, damaged = importers.each(of_ours, bundle.read)
    dumps, unread = importers.each([file for file in files if file not in of_ours], importers.read_dump)
    if not bundles and not dumps:
        raise (damaged + unread)[0][1]
    collections = [one.collection for one in bundles]
    collections += [redact_collection(importers.collection_of(dumps))] if dumps else []
    first = collections[0]
    whole = msgspec.structs.replace(
        first,
        processes=tuple(process for collection in collections for process in collection.processes),
        expected=tuple(dict.fromkeys(rank for collection in collections for rank in collection.expected)),
        seconds=max(collection.seconds for collection in collections),
        devices=tuple(device for collection in collections for device in collection.devices),
        kernel_log=tuple(line for collection in collections for line in collection.kernel_log),
    )
    return whole, importers.reasons(damaged + unread)


def explained(paths: list[Path], limits: Limits) -> tuple[Collection, Diagnosis]:
    """What all files mean together; those that could not be read are among the errors."""
    given, unread = read_evidence(paths)
    collection, diagnosis = pipeline.explain(given, limits)
    return collection, msgspec.structs.replace(diagnosis, errors=(*unread, *diagnosis.errors))


def _is_bundle(path: Path) -> bool:
    """By content; what is named like one, or cannot be opened, is left for the bundle's reader to explain."""
    if str(path) == importers.STANDARD_INPUT or path.is_dir():
        return False
    if path.name.endswith(bundle.SUFFIX) or not path.is_file() or not os.access(path, os.R_OK):
        return True
    with path.open("rb") as file:
        return file.read(len(importers.ZSTD)) == importers.ZSTD


@command
def diagnose(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Bundles (hosts of one job), other tools' dumps and logs (ranks of one job), folders of these, or -.",
            metavar="FILE...",
        ),
    ],
    hang_after: Floor = 4.0,
    verbose: Verbose = False,
    as_json: Json = False,
) -> int:
    """Say what a bundle means, or other tools' dumps and logs, offline.

    Reads bundles, stacks by py-spy, pystack, gdb, lldb, eu-stack, austin, faulthandler and the kernel, tracebacks,
    logs of training frameworks, launchers and servers, ncclras, PyTorch's Flight Recorder (docs/dumps.md has all). A
    file named like worker-0.txt or rank3.log is of that rank; so are the files of a launcher's log folder. - is
    standard input.

    Example: lastbatch diagnose lastbatch-20260101-120000.tar.zst    Example: lastbatch diagnose rank0.txt rank1.txt
    Example: lastbatch diagnose logs/    Example: kubectl logs job | lastbatch diagnose -
    """
    collection, diagnosis = explained(paths, Limits(floor=hang_after))
    written = paths[0] if len(paths) == 1 and _is_bundle(paths[0]) else None
    again = [] if any(str(path) == importers.STANDARD_INPUT for path in paths) else paths
    return show(collection, diagnosis, as_json, verbose, written, again)


class Format(str, Enum):
    html = "html"
    markdown = "markdown"
    trace = "trace"
    speedscope = "speedscope"
    folded = "folded"


_ENDINGS = {
    ".html": Format.html, ".htm": Format.html, ".md": Format.markdown, ".folded": Format.folded,
    ".speedscope.json": Format.speedscope, ".json": Format.trace,
}  # fmt: skip
"""The first that a name ends with."""
_DEFAULT_ENDING = {
    Format.html: ".html", Format.markdown: ".md", Format.trace: ".trace.json", Format.speedscope: ".speedscope.json",
    Format.folded: ".folded",
}  # fmt: skip


@command
def report(
    paths: Annotated[
        list[Path],
        typer.Argument(help="A bundle, or another tool's dump; a second one is compared.", metavar="FILE..."),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Where to write; the ending chooses the format.", metavar="FILE")
    ] = None,
    form: Annotated[Format | None, typer.Option("--format", help="Default: by the ending, else html.")] = None,
    as_json: Json = False,
) -> int:
    """Turn a bundle into a report: HTML, Markdown, a timeline (Perfetto), stacks (speedscope, flame graphs).

    Of two bundles of one job it says which ranks moved between them, which are new, which are gone.

    Example: lastbatch report job.tar.zst --out job.html    Example: lastbatch report before.tar.zst after.tar.zst
    Example: lastbatch report job.tar.zst --format folded
    """
    if len(paths) > 1:
        return _compare(paths, bool(out or form), as_json)
    path = paths[0]
    if out and out.is_dir():
        raise UsageError(f"{out} is a directory", "Name a file in it with --out")
    chosen = form or (_format_of(out.name) if out else Format.html)
    collection, diagnosis = pipeline.explain(read_evidence([path])[0])
    if chosen is Format.html:
        from diagnostics.report.html import render_html

        text = render_html(collection, diagnosis)
    elif chosen is Format.markdown:
        text = render_markdown(collection, diagnosis)
    elif chosen is Format.folded:
        text = render_folded(diagnosis.tree)
    else:
        document = render_trace(collection) if chosen is Format.trace else render_speedscope(collection)
        text = msgspec.json.encode(document).decode()
    target = out or path.parent / (_stem(path) + _DEFAULT_ENDING[chosen])
    try:
        target.write_text(text, "utf-8")
    except OSError as error:
        raise MissingError(f"cannot write {target}: {error.strerror}", "Name another place with --out") from None
    if as_json:
        print_json({"report": str(target), "format": chosen.value, "bytes": len(text.encode())})
    else:
        page.print(f"{target}", soft_wrap=True)
    return OK


def _stem(path: Path) -> str:
    """What a report is called after."""
    if str(path) == importers.STANDARD_INPUT:
        return "report"
    return (path.name or path.resolve().name).removesuffix(bundle.SUFFIX)


def _format_of(name: str) -> Format:
    for ending, form in _ENDINGS.items():
        if name.endswith(ending):
            return form
    raise UsageError(f"the ending of {name!r} says no format", f"End it with {', '.join(_ENDINGS)}, or say --format")


def _compare(paths: list[Path], written: bool, as_json: bool) -> int:
    if len(paths) > 2 or written:
        raise UsageError("two bundles are compared on the terminal", "Give two and no --out or --format, or one")
    before, after = (pipeline.explain(read_evidence([path])[0])[0] for path in paths)
    comparison = compare(sanitize(before), sanitize(after))
    if as_json:
        print_json(comparison_document(comparison))
    else:
        page.print("\n".join(comparison_lines(comparison)), soft_wrap=True)
    return OK
