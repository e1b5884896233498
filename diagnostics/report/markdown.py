"""The report as Markdown that fits into a GitHub issue: short, stacks folded, nothing in it active."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

from diagnostics.model import Collection, Diagnosis, Evidence, Finding
from diagnostics.report.positions import PositionRow, position_rows
from diagnostics.report.stacks import Block, stacks_of
from diagnostics.report.text import (
    DASH,
    compact_ranks,
    duration,
    milliseconds,
    percent,
    plural,
    sanitize,
    wall_time,
)
from diagnostics.report.verdict import Verdict, culprit_name, culprit_words, device_words, proof_words, verdict_of
from diagnostics.report.view import RankRow, coverage, not_seen, rank_rows, repeat_command

STACK_CHARACTERS = 24_000
"""An issue holds 65,536 characters, and nobody reads that many."""

MOST_ROWS = 60

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!$&])")
# People and issues that the evidence happens to name are not to be told.
_MENTION = re.compile(r"@(?=\w)|(?<=\w)/(?=[\w.-]+\\?#\d)|#(?=\d)|(?<=GH)-(?=\d)")
_ADDRESS = re.compile(r"(?i)\b(https?|ftp|mailto)(?=:)|\bwww(?=\.)")
_LINK = re.compile(r"https?://[\w.~:/?#@!$&'*+,;=%-]+")

NOTHING = "\N{ZERO WIDTH SPACE}"


def render_markdown(collection: Collection, diagnosis: Diagnosis) -> str:
    """The report, to be pasted; ends with a newline."""
    collection, diagnosis = sanitize(collection), sanitize(diagnosis)
    verdict = verdict_of(collection, diagnosis)
    rows = rank_rows(collection)
    lines = _top(collection, diagnosis, verdict)
    lines += _positions(position_rows(collection, diagnosis))
    lines += [f"- {escape(error.stage)} failed: {escape(error.error)}" for error in diagnosis.errors]
    lines += [""] if diagnosis.errors else []
    if verdict.finding:
        lines += _finding(verdict.finding)
        lines += _list("What would make it surer", map(escape, diagnosis.next_evidence), numbered=True)
    if verdict.candidates:
        words = (f"{code(each.cause)} {percent(each.confidence)}" for each in verdict.candidates)
        lines += [f"**Also considered:** {', '.join(words)}", ""]
    if verdict.finding and verdict.finding.references:
        lines += [f"**References:** {', '.join(map(_link, verdict.finding.references))}", ""]
    lines += [escape(coverage(rows)) + ".", "", *_table(rows)]
    lines += _list("What could not be seen", map(escape, not_seen(collection)))
    lines += _stacks(diagnosis)
    lines += _versions(collection)
    if command := repeat_command(collection.scenario):
        lines += ["To repeat it:", "", *fence([shlex.join(command)]), ""]
    lines.append(
        f"<sub>Collected {wall_time(collection.collected_at)} in {duration(collection.seconds)}, stacks "
        f"{duration(collection.skew)} apart, by lastbatch {escape(collection.tool_version or '?')}.</sub>"
    )
    return "\n".join(lines) + "\n"


def _top(collection: Collection, diagnosis: Diagnosis, verdict: Verdict) -> list[str]:
    """Hung or not and since when, who holds the job up, the cause, what to do."""
    lines = [f"### {escape(verdict.headline)}", ""]
    lines += [escape(verdict.summary), ""] if verdict.summary else []
    lines += [
        f"- **{escape(culprit_name(one))}** holds the job up ({percent(one.confidence)}): {escape(culprit_words(one))}"
        for one in diagnosis.culprits
    ]
    lines += [""] if diagnosis.culprits else []
    if device := device_words(collection, diagnosis):
        lines += [f"**GPU:** {escape(device)}", ""]
    if proof := proof_words(collection.trace):
        lines += [escape(proof), ""]
    if verdict.finding:
        lines += [
            f"**Cause:** {code(verdict.finding.cause)} (family {code(verdict.family)}), "
            f"confidence {verdict.percent}, {verdict.words}. {escape(verdict.finding.title)}",
            "",
        ]
        return lines + _list("What to do", map(escape, verdict.finding.remedy), numbered=True)
    if verdict.kind != "healthy":
        lines += ["**Cause:** unknown. No known cause is carried by this evidence.", ""]
    return lines + _list("Next evidence to take", map(escape, diagnosis.next_evidence), numbered=True)


def _positions(rows: tuple[PositionRow, ...]) -> list[str]:
    if not rows:
        return []
    lines = ["| rank | state | since | operation | function | waits for |", "|---|---|--:|---|---|---|"]
    for row in rows[:MOST_ROWS]:
        state = f"**{row.state.value}**" if row.state.value in ("hung", "dead", "slow") else row.state.value
        cells = [escape(row.ranks), state, row.since, *map(escape, (row.operation, row.place, row.waits_for))]
        lines.append("| " + " | ".join(cell or DASH for cell in cells) + " |")
    if len(rows) > MOST_ROWS:
        lines += ["", f"and {plural(len(rows) - MOST_ROWS, 'more place')}"]
    return [*lines, ""]


def escape(text: str) -> str:
    """`text` as plain Markdown text on one line: no markup, no HTML, no mention, no link of its own."""
    text = _SPECIAL.sub(r"\\\1", text)
    text = _MENTION.sub(lambda match: match[0] + NOTHING, text)
    text = _ADDRESS.sub(lambda match: match[0] + NOTHING, text)
    # What would begin a list, a heading or a quote stands first.
    text = re.sub(r"^(\s*)([-+=:]|\d+(?=[.)](?:\s|$)))", lambda match: f"{match[1]}{NOTHING}{match[2]}", text)
    return text.strip(" ")


def code(text: str) -> str:
    """`text` as a code span; not for tables, which are split into cells before code is looked for."""
    ticks = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{pad}{text}{pad}{ticks}" if text.strip() else escape(text)


def fence(lines: list[str]) -> list[str]:
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    ticks = "`" * max(longest + 1, 3)
    return [ticks + "text", *lines, ticks]


def _link(reference: str) -> str:
    return f"<{reference}>" if _LINK.fullmatch(reference) else escape(reference)


def _list(title: str, items: Iterable[str], numbered: bool = False) -> list[str]:
    lines = [f"{number}. {item}" if numbered else f"- {item}" for number, item in enumerate(items, 1)]
    return [f"**{title}**", "", *lines, ""] if lines else []


def _finding(finding: Finding) -> list[str]:
    return [
        *_list("Evidence for it", map(_fact, finding.evidence)),
        *_list("Evidence against it", map(_fact, finding.against)),
        *_list("Missing", map(escape, finding.missing)),
    ]


def _fact(item: Evidence) -> str:
    where = ", ".join(part for part in (compact_ranks(item.ranks), item.source) if part)
    return f"{escape(item.fact)} ({escape(where)})" if where else escape(item.fact)


def _table(rows: tuple[RankRow, ...]) -> list[str]:
    if not rows:
        return []
    head = "| rank | state | epoch | last batch | rows | end seen | began, has not ended | from | pause, ms |"
    lines = [head, "|---|---|--:|--:|--:|---|---|---|--:|"]
    for row in rows[:MOST_ROWS]:
        state = f"**{row.state.value}**" if row.state.value in ("hung", "dead", "slow") else row.state.value
        source = escape(row.stacks_from or "nothing") + (f": {escape(row.why_not)}" if row.why_not else "")
        cells = [
            escape(row.rank),
            ": ".join(part for part in (state, escape("; ".join((row.why, *row.warnings)).strip("; "))) if part),
            row.epoch or DASH,
            row.last_batch or DASH,
            row.rows or DASH,
            row.end_seen or DASH,
            "<br>".join(map(escape, row.open)) or DASH,
            source,
            milliseconds(row.pause) if row.stacks_from else DASH,
        ]
        lines.append("| " + " | ".join(cells) + " |")
    if len(rows) > MOST_ROWS:
        lines += ["", f"and {plural(len(rows) - MOST_ROWS, 'more rank')}"]
    return [*lines, ""]


def _stacks(diagnosis: Diagnosis) -> list[str]:
    stacks = stacks_of(diagnosis.tree, STACK_CHARACTERS)
    lines = [line for block in stacks.busy for line in _block(block, 0)]
    if not lines:
        return []
    if stacks.left_out:
        lines.append(f"... {plural(stacks.left_out, 'more frame')} in the bundle")
    summary = f"Stacks of {plural(stacks.busy_threads, 'thread')}, merged"
    if stacks.idle:
        summary += f" ({plural(stacks.idle_threads, 'idle pool thread')} left out)"
    return ["<details>", f"<summary>{summary}</summary>", "", *fence(lines), "", "</details>", ""]


def _block(block: Block, depth: int) -> list[str]:
    pad = "  " * depth
    lines = [f"{pad}[{block.ranks}; {plural(block.threads, 'thread')}]"]
    lines += [f"{pad}  {line.function}" + (f"  ({line.file})" if line.file else "") for line in block.frames]
    for child in block.children:
        lines += _block(child, depth + 1)
    return lines


def _versions(collection: Collection) -> list[str]:
    """What each group of ranks runs on."""
    groups: dict[str, list[str]] = {}
    for process in collection.processes:
        of = process.versions
        parts = (
            of.python and f"Python {of.python}",
            of.framework and f"{of.framework} {of.framework_version}",
            of.libc,
            of.kernel and f"kernel {of.kernel}",
        )
        if words := ", ".join(part for part in parts if part):
            groups.setdefault(words, []).append(process.rank)
    return [*(f"{code(compact_ranks(ranks))}: {escape(words)}" for words, ranks in groups.items()), ""]
