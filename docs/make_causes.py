"""Writes docs/causes/*.md, a page a cause, from diagnostics/causes. `--check` writes nothing and says what differs."""

from __future__ import annotations

import sys
from pathlib import Path

from diagnostics.causes import Cause, Remedy, load
from diagnostics.causes.weights import WEIGHTS

PAGES = Path(__file__).parent / "causes"


_NAMES = {"torch": "PyTorch", "tensorflow": "TensorFlow", "python": "Python", "compiled": "C and C++"}


def _id(remedy: Remedy) -> str:
    return f"`{remedy.id}`, {_NAMES[remedy.only]}" if remedy.only else f"`{remedy.id}`"


def weights(cause: Cause) -> list[str]:
    """The cause's rows of the table."""
    rows = [weight for weight in WEIGHTS if weight.cause == cause.id]
    shown = [f"| {row.observation} | {row.value:+g} | {row.origin.value} |" for row in rows]
    return ["| observation | weight (log odds) | from |", "|---|---|---|", *shown]


def page(cause: Cause) -> str:
    lines = [f"# {cause.title}", "", f"`{cause.id}`, of the family `{cause.family}`.", "", cause.story, ""]
    if cause.search_for:
        lines += ["## Lines to search for", "", "```", *cause.search_for, "```", ""]
    lines += ["## What to do", "", *(f"- {remedy.text} ({_id(remedy)})" for remedy in cause.remedies), ""]
    lines += ["## Not to be confused with", "", cause.not_to_be_confused_with, ""]
    lines += ["## What carries it", "", *weights(cause), ""]
    lines += ["## Where", "", f"{cause.versions}.", ""]
    commands = ["lastbatch attach PID...", "lastbatch diagnose DUMP..."]
    lines += ["## See whether it is yours", "", "```", *commands, "```", ""]
    if cause.scenario:
        lines += ["Reproduce it:", "", "```", f"lastbatch run {cause.scenario}", "```", ""]
    lines += ["## References", "", *(f"- <{reference}>" for reference in cause.references), ""]
    return "\n".join(lines)


def index(causes: tuple[Cause, ...]) -> str:
    rows = [f"| [{cause.id}]({cause.id}.md) | `{cause.family}` | {cause.title} |" for cause in causes]
    return "\n".join(["# Known causes of hangs", "", "| cause | family | what happens |", "|---|---|---|", *rows, ""])


def pages() -> dict[Path, str]:
    causes = load()
    return {PAGES / "README.md": index(causes)} | {PAGES / f"{cause.id}.md": page(cause) for cause in causes}


def out_of_date(wanted: dict[Path, str]) -> list[Path]:
    found = set(PAGES.glob("*.md"))
    return sorted(
        [path for path, text in wanted.items() if path not in found or path.read_text("utf-8") != text]
        + [path for path in found if path not in wanted]
    )


def main() -> int:
    wanted = pages()
    stale = out_of_date(wanted)
    if "--check" in sys.argv[1:]:
        print(*(f"{path} is not what diagnostics/causes makes of it" for path in stale), sep="\n")
        return 1 if stale else 0
    PAGES.mkdir(exist_ok=True)
    for path in stale:
        if path in wanted:
            path.write_text(wanted[path], "utf-8")
        else:
            path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
