"""What the tools for agents do: plain values in, the documents of `--json` out, with nothing in them that is secret.

No tool changes a job, runs a command that was handed in, or reads its own standard input, which is the protocol's.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from diagnostics import causes, importers, pipeline
from diagnostics.analyze.progress import Limits
from diagnostics.causes import Cause
from diagnostics.cli.attach import default_path, which_target
from diagnostics.cli.diagnose import explained
from diagnostics.cli.job_list import described
from diagnostics.discover.places import resolve
from diagnostics.discover.selectors import jobs_here
from diagnostics.errors import LastbatchError, MissingError, UsageError
from diagnostics.report.document import as_json
from diagnostics.report.text import sanitize
from diagnostics.transport import Options

Document = dict[str, Any]

PATIENCE = 60.0
"""Seconds for each visit to another host."""


def list_jobs() -> Document:
    """As `attach --list --json`."""
    return _plain({"jobs": tuple(sanitize(described(job)) for job in jobs_here())})


def attach(targets: Sequence[str | int], keep: Path, resample: float, threads: bool) -> Document:
    """As `attach --json`, with the bundle in the folder `keep`.

    Args:
        resample: seconds to sample on where two samples do not decide.
        threads: whether every thread's stack is in the document.

    Raises:
        LastbatchError: as `diagnostics.pipeline.attach`, or no target is given.
    """
    words = [str(target) for target in targets]
    if not words:
        raise which_target()
    place = resolve(words, PATIENCE)
    try:
        keep.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise MissingError(
            f"no bundle can be kept in {keep}: {error.strerror}", "Name a folder with lastbatch mcp --keep FOLDER"
        ) from None
    answer = pipeline.attach(place.words, Options(resample=resample), fleet=place.fleet, out=keep / default_path())
    document = as_json(answer.collection, answer.diagnosis, str(answer.bundle) if answer.bundle else None)
    if answer.not_written:
        document["errors"].append({"stage": "bundle", "error": str(answer.not_written)})
    return _plain(document if threads else _short(document))


def diagnose(files: Sequence[str], threads: bool) -> Document:
    """As `diagnose --json`.

    Raises:
        LastbatchError: none of the files can be read.
    """
    if not files or importers.STANDARD_INPUT in files:
        raise UsageError("which files?", "Give bundles, dumps, logs, or folders of these, by their paths")
    collection, diagnosis = explained([Path(file) for file in files], Limits())
    document = as_json(collection, diagnosis, None)
    return _plain(document if threads else _short(document))


def explain_cause(name: str) -> Document:
    """What is known of a cause, or of all causes of a family; without a name the list of all.

    Raises:
        UsageError: there is no such cause or family.
    """
    known = causes.load()
    if not name:
        return {"causes": [{"cause": one.id, "family": one.family, "title": one.title} for one in known]}
    found = [one for one in known if one.id == name] or [one for one in known if one.family == name]
    if not found:
        close = difflib.get_close_matches(name, sorted({word for one in known for word in (one.id, one.family)}))
        hint = f"Did you mean {' or '.join(close)}?" if close else "Without a name all are listed"
        raise UsageError(f"there is no cause {name!r}", hint)
    return {"causes": [_whole(cause) for cause in found]}


def error_text(error: LastbatchError) -> str:
    """What is wrong and what to do. It may quote a hostile file."""
    return sanitize(str(error))


def _whole(cause: Cause) -> Document:
    return {
        "cause": cause.id,
        "family": cause.family,
        "title": cause.title,
        "what_happens": cause.story,
        "remedies": [{"id": remedy.id, "text": remedy.text} for remedy in cause.remedies],
        "not_to_be_confused_with": cause.not_to_be_confused_with,
        "versions": cause.versions,
        "search_for": list(cause.search_for),
        "references": list(cause.references),
        "scenario": cause.scenario or None,
    }


def _short(document: Document) -> Document:
    """Without the stacks of threads: a job of many ranks would fill an agent's memory with them."""
    ranks = [{key: value for key, value in rank.items() if key != "threads"} for rank in document["ranks"]]
    return {**document, "ranks": ranks}


def _plain(document: Document) -> Document:
    plain: Document = msgspec.to_builtins(document, enc_hook=str)
    return plain
