"""What a release says of itself: `python release/notes.py v1.2.3` prints the changelog's section of that version.

It fails where the tag, the version in pyproject.toml and the changelog do not agree, so that nothing is built from a
tag that was set on the wrong commit. The version stands in pyproject.toml and not in the tag alone: a tree without
git builds as well.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_VERSION = re.compile(r'^version = "([^"]+)"$', re.MULTILINE)


def notes(tag: str, project: str, changelog: str) -> str:
    """The section of the tag's version. `project` and `changelog` are the texts of the two files.

    Raises:
        ValueError: they do not agree, or the section is empty.
    """
    version = _VERSION.findall(project)
    if version != [tag.removeprefix("v")] or not tag.startswith("v"):
        raise ValueError(f"the tag is {tag}, pyproject.toml has {', '.join(version)}: tag v{version[0]}, or change it")
    # A heading is `## 1.2.3` or `## [1.2.3] - 2026-01-31`.
    heading = rf"^## \[?{re.escape(version[0])}\]?(?: [^\n]*)?\n"
    found = re.search(rf"{heading}(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    if not found or not found[1].strip():
        raise ValueError(f"CHANGELOG.md has no section {version[0]}: give that name to what stands under Unreleased")
    return found[1].strip() + "\n"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        print(notes(sys.argv[1], (ROOT / "pyproject.toml").read_text(), (ROOT / "CHANGELOG.md").read_text()), end="")
    except ValueError as error:
        sys.exit(str(error))
