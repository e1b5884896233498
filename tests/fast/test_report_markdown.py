"""Markdown for an issue: short, folded, and without effect beyond its text."""

from __future__ import annotations

import re

import pytest
import report_hostile
import report_samples
from markdown_it import MarkdownIt
from markdown_it.token import Token

from diagnostics.report.markdown import code, escape, fence, render_markdown

OWN_HTML = re.compile(r"</?details>|<summary>[\w, ()]+</summary>|<br>|</?sub>|\s")


def tokens(text: str) -> list[Token]:
    """All tokens as GitHub would read them, near enough: raw HTML, tables, strikethrough."""
    parsed = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(text)
    return [token for block in parsed for token in [block, *(block.children or ())]]


def test_it_tells_the_story_in_short() -> None:
    text = render_markdown(*report_samples.last_batch_hang())
    assert text.startswith("### HUNG") and "\n\nworker:0 waits for a tensor" in text
    for part in (
        "`tf-recv-registered-after-abort`", "88 %", "| worker:0 | **hung**", "<details>",
        "165 idle pool threads",
        "tensorflow::LocalMaster::RunStep", "<https://github.com/tensorflow/tensorflow/pull/23580>",
        "lastbatch run last-batch --arm dataset",
    ):  # fmt: skip
        assert part in text, part


def test_culprit_and_positions_come_before_all_evidence() -> None:
    text = render_markdown(*report_samples.eight_ranks())
    order = (
        "### HUNG for 6 min 52 s", "**worker:7", "**Cause:** `dataloader-worker-killed`", "**What to do**",
        "| worker:7 | **hung** |", "| worker:0-6 | **hung** | 6 min 52 s |", "**Evidence for it**", "8 of 8 ranks",
    )  # fmt: skip
    places = [text.index(part) for part in order]
    assert places == sorted(places), text


@pytest.mark.parametrize("name", ["last_batch_hang", "eight_ranks", "unknown", "healthy", "empty"])
def test_it_fits_into_an_issue(name: str) -> None:
    assert len(render_markdown(*getattr(report_samples, name)())) < 60_000
    assert len(render_markdown(*report_hostile.large())) < 60_000


def test_unknown_names_no_cause() -> None:
    text = render_markdown(*report_samples.unknown())
    assert "**Cause:** unknown" in text and "What to do" not in text and "**Next evidence to take**" in text


@pytest.mark.parametrize("hostile", report_hostile.HOSTILE)
def test_hostile_text_is_inert(hostile: str) -> None:
    text = render_markdown(*report_hostile.poisoned(hostile))
    text.encode()
    found = tokens(text)
    html = "".join(token.content for token in found if token.type in ("html_block", "html_inline"))
    assert OWN_HTML.sub("", html) == ""
    assert not [token for token in found if token.type == "image"]
    clean = tokens(render_markdown(*report_hostile.poisoned("harmless")))
    for kind in ("heading_open", "tr_open", "td_open", "fence", "list_item_open", "em_open", "strong_open"):
        counts = [sum(token.type == kind for token in each) for each in (found, clean)]
        assert counts[0] == counts[1], kind
    links = {str(token.attrs["href"]) for token in found if token.type == "link_open"}
    assert all(link.startswith("https://evil.example") for link in links)
    outside = "".join(token.content for token in found if token.type == "text")
    assert not re.search(r"@\w|#\d|https?:", outside)


@pytest.mark.parametrize("hostile", report_hostile.HOSTILE)
def test_escaped_text_reads_as_it_was(hostile: str) -> None:
    text = hostile.replace("\n", " ").replace("\r", " ").replace("\x00", "").replace("\x7f", "").strip()
    text = text.encode("utf-8", "replace").decode()
    read = "".join(
        token.content for token in tokens("a " + escape(text)) if not token.children and token.content
    )
    assert read.replace("\u200b", "") == "a " + text.replace("\u200b", "")


def test_code_and_fences_outgrow_the_ticks_within() -> None:
    assert code("a`b``c") == "```a`b``c```"
    assert code("`") == "`` ` ``"
    assert fence(["````"])[0] == "`````text"
