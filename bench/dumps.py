"""Changes public reports of hangs as pasting changes them, many times each, and counts what the answer loses.

No change may make another cause of a report than those that its files carry; at most a tenth may lose the cause.

    python bench/dumps.py --times 50
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import textwrap
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from diagnostics import importers, pipeline
from diagnostics.errors import LastbatchError

HOME = Path(__file__).parent.parent / "tests" / "data" / "dumps"
ENOUGH = 0.5
Files = dict[str, bytes]
Change = Callable[[str, random.Random], str]


def files_of(case: Path) -> Files:
    return {path.name: path.read_bytes() for path in sorted(case.iterdir()) if path.name != "expected.json"}


def family_of(files: Files) -> str:
    """The family that is named for these files, "unknown" for none, also where nothing could be read."""
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            (Path(folder) / name).write_bytes(data)
        try:
            given, _ = importers.read_all([Path(folder)])
        except LastbatchError:
            return "unknown"
        _, diagnosis = pipeline.explain(importers.collection_of(given))
    best = diagnosis.findings[0] if diagnosis.findings else None
    return best.family if best and best.confidence > ENOUGH else "unknown"


def _wrapped(text: str, chance: random.Random) -> str:
    width = chance.randint(80, 200)
    return "\n".join(
        line[at : at + width] for line in text.split("\n") for at in range(0, max(len(line), 1), width)
    )


def _wrapped_between_words(text: str, chance: random.Random) -> str:
    width = chance.randint(100, 200)
    wrap = textwrap.TextWrapper(width, drop_whitespace=True, break_long_words=False, break_on_hyphens=False)
    return "\n".join(part for line in text.split("\n") for part in (wrap.wrap(line) or [""]))


def _prefixed(text: str, chance: random.Random) -> str:
    prefix = chance.choice(["trainer-0  | ", "[pod/train-0/main] ", "2026-01-05T10:11:12.123456Z ", "> "])
    return "\n".join(prefix + line for line in text.split("\n"))


def _coloured(text: str, chance: random.Random) -> str:
    return "\n".join(f"\x1b[3{chance.randint(1, 7)}m{line}\x1b[0m" if line else line for line in text.split("\n"))


def _fenced(text: str, chance: random.Random) -> str:
    return f"It hangs, please help:\n```\n{text}\n```\n"


def _indented(text: str, chance: random.Random) -> str:
    return "\n".join("    " + line for line in text.split("\n"))


def _windows(text: str, chance: random.Random) -> str:
    return text.replace("\n", "\r\n")


def _cut_beginning(text: str, chance: random.Random) -> str:
    return text[chance.randrange(1 + len(text) // 3) :]


def _cut_end(text: str, chance: random.Random) -> str:
    return text[: len(text) - chance.randrange(1 + len(text) // 3)]


MUTATIONS: dict[str, Change] = {
    "wrapped": _wrapped, "wrapped-between-words": _wrapped_between_words, "prefixed": _prefixed,
    "coloured": _coloured, "fenced": _fenced, "indented": _indented, "windows": _windows,
    "cut-beginning": _cut_beginning, "cut-end": _cut_end,
}  # fmt: skip


def mutated(files: Files, mutation: str, chance: random.Random) -> Files:
    """The files with one change; `utf-16` would be one of bytes, and is tested where text is decoded."""
    change = MUTATIONS[mutation]
    return {name: change(data.decode("utf-8", "replace"), chance).encode() for name, data in files.items()}


def fine(case: Path) -> set[str]:
    """The families that are not wrong for its files."""
    expected = json.loads((case / "expected.json").read_text())
    return {expected["family"], *expected["also_fine"]}


def _kind(before: str, after: str, fine: set[str]) -> str:
    if after == before:
        return "same"
    return "lost" if after == "unknown" else "fine" if after in fine else "other"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=50, help="changes of each report")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    count: Counter[str] = Counter()
    for case in sorted(path.parent for path in HOME.glob("*/expected.json")):
        files = files_of(case)
        before, good = family_of(files), fine(case)
        for _ in range(options.times):
            mutation = chance.choice(sorted(MUTATIONS))
            after = family_of(mutated(files, mutation, chance))
            kind = _kind(before, after, good)
            count[kind] += 1
            count["known"] += before != "unknown"
            if kind == "other":
                print(f"{case.name:16} {mutation:22} {before} -> {after}")
    print(dict(count))
    return 0 if not count["other"] and count["lost"] <= 0.1 * count["known"] else 1


if __name__ == "__main__":
    sys.exit(main())
