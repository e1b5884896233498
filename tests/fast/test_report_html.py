"""The HTML file: complete, self-contained, small, and inert whatever the evidence says."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import msgspec
import pytest
import report_hostile
import report_samples

from diagnostics.model import Collection, Diagnosis, Finding, State
from diagnostics.report.html import link, render_html, thread_rows

VOID = {"meta", "input", "rect", "path", "line", "br"}


class Page(HTMLParser):
    """Tags with their attributes, text outside script and style, and whether every tag is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.raw: dict[str, str] = {}
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("script", "style"):
            self.raw[self.open[-1]] = self.raw.get(self.open[-1], "") + data
        else:
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def test_it_shows_everything_that_is_known() -> None:
    words = Page(render_html(*report_samples.last_batch_hang())).words
    for part in (
        "worker:0 waits for a tensor that no server will send", "tf-recv-registered-after-abort",
        "rendezvous-abort-race", "88 %", "very likely", "Upgrade to TensorFlow 1.13", "5 of 5 ranks",
        "2,206", "step 4,413 for 31.2 s", "412", "ps:0-3", "RecvTensor of step 4,413", "8 connections",
        "127.0.0.1:20001", "tensorflow::LocalMaster::RunStep",
        "165 idle pool threads", "No server logged an error",
        "uprobes on RegisterCall", "tensorflow/tensorflow#23580",
        "Python 3.6.15", "glibc 2.28", "futex_wait_queue",
        "no recording", "Graph was finalized",
        "lastbatch run last-batch --arm dataset --runtime tf1.12",
        "--set ps=4", "by lastbatch 0.1.0", "16.8 s", "12.9 s apart", "epoch 2206", "30.7 s cut out", 
    ):  # fmt: skip
        assert part in words, part


def test_culprit_and_positions_come_before_all_evidence() -> None:
    """GIVEN one rank of eight that holds the others up, THEN a reader sees it, and where it stands, first."""
    words = Page(render_html(*report_samples.eight_ranks())).words
    order = (
        "HUNG for 6 min 52 s", "worker:7 (pid 4107 on node-a)", "holds the job up", ": in DataLoader.__next__, load",
        "Cause dataloader-worker-killed", "What to do", "Where each rank stands", "worker:0-6 hung",
        "number 41 of group 0",
        "Evidence", "Ranks and last batch",
    )  # fmt: skip
    places = [words.index(part) for part in order]
    assert places == sorted(places), list(zip(order, places, strict=True))


def test_it_is_one_file_that_needs_no_network() -> None:
    html = render_html(*report_samples.last_batch_hang())
    page = Page(html)
    assert page.open == []
    policy = next(attrs["content"] for tag, attrs in page.tags if attrs.get("http-equiv"))
    assert policy is not None and policy.startswith("default-src 'none'")
    for kind in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(page.raw[kind].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    for tag, attrs in page.tags:
        assert tag not in ("img", "link", "iframe", "object", "embed", "form", "base", "audio", "video")
        assert not {name for name in attrs if name.startswith("on") or name in ("src", "style", "srcdoc")}
    assert "url(" not in page.raw["style"].replace("url(#hatch)", "") and "@import" not in page.raw["style"]


def test_it_is_accessible_in_the_basics() -> None:
    page = Page(render_html(*report_samples.last_batch_hang()))
    assert ("html", {"lang": "en"}) in page.tags
    assert all("scope" in attrs for tag, attrs in page.tags if tag == "th")
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    for _, attrs in page.tags:
        for name in ("aria-labelledby", "for"):
            assert attrs.get(name) is None or attrs[name] in ids


def test_nothing_in_the_page_is_broken_by_a_job_of_another_kind() -> None:
    for sample in (report_samples.healthy, report_samples.unknown, report_samples.empty):
        assert Page(render_html(*sample())).open == []


def test_unknown_says_so_and_what_to_take_next() -> None:
    words = Page(render_html(*report_samples.unknown())).words
    assert "Verdict: unknown" in words and "HUNG" in words and "none is named" in words and "41 %" in words
    assert words.index("Next evidence to take") < words.index("Ranks and last batch")
    assert "none from ps:3 (no process was found for it); ps:2 (in state D" in words
    assert "What to do " not in words[: words.index("Where each rank stands")]


def test_a_finding_that_does_not_carry_the_verdict_is_not_named_on_top() -> None:
    collection, diagnosis = report_samples.last_batch_hang()
    weak = msgspec.structs.replace(diagnosis.findings[0], confidence=0.5)
    words = Page(render_html(collection, msgspec.structs.replace(diagnosis, findings=(weak,)))).words
    assert "very likely" not in words


def test_healthy_has_no_cause_and_no_alarm() -> None:
    html = render_html(*report_samples.healthy())
    assert '<h1 id="verdict">Healthy</h1>' in html and "2 progressing" in html
    assert 'class="bar step open calm"' in html


def test_an_empty_collection_has_a_page() -> None:
    words = Page(render_html(*report_samples.empty())).words
    assert "no rank was expected and no process was found" in words


def test_a_job_without_flights_or_threads_says_what_is_missing() -> None:
    collection, diagnosis = report_samples.last_batch_hang()
    bare = msgspec.structs.replace(
        collection,
        processes=tuple(
            msgspec.structs.replace(p, flight=None, threads=(), samples=(), connections=())
            for p in collection.processes
        ),
    )
    words = Page(render_html(bare, msgspec.structs.replace(diagnosis, tree=(), waits=()))).words
    assert "No rank had a flight recorder with events in it." in words
    assert "No stack could be read." in words and "No wait between ranks was seen." in words


@pytest.mark.parametrize("ranks", [5])
def test_a_large_job_stays_small(ranks: int) -> None:
    html = render_html(*report_hostile.large(ranks))
    assert len(html.encode()) <= 1_000_000
    assert Page(html).open == []


def test_what_is_left_out_is_counted() -> None:
    html = render_html(*report_hostile.large(ranks=32, threads=40, frames=4))
    assert len(html.encode()) <= 2_500_000
    assert re.search(r"[\d,]+ more frames in the bundle", html)
    assert re.search(r"[\d,]+ more threads in the bundle", html)
    assert "1,120 more connections in the bundle" in html


@pytest.mark.parametrize("hostile", report_hostile.HOSTILE)
def test_hostile_text_is_inert(hostile: str) -> None:
    html = render_html(*report_hostile.poisoned(hostile))
    html.encode()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", html)
    page = Page(html)
    assert page.open == []
    clean = Page(render_html(*report_hostile.poisoned("harmless")))

    # Links are made of references, and only of those to the web.
    def kinds(page: Page) -> set[tuple[str, frozenset[str]]]:
        return {(tag, frozenset(attrs)) for tag, attrs in page.tags if tag != "a"}

    assert kinds(page) == kinds(clean)
    assert page.raw == clean.raw
    assert all(str(attrs["href"]).startswith(("http://", "https://")) for tag, attrs in page.tags if tag == "a")


@pytest.mark.parametrize(
    "reference",
    ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "//evil", "https://a b", "HTTPS:x"],
)
def test_other_references_are_text(reference: str) -> None:
    assert "<a" not in link(reference)


def test_a_web_reference_is_a_link() -> None:
    assert str(link("https://github.com/tensorflow/tensorflow/issues/26559")) == (
        '<a href="https://github.com/tensorflow/tensorflow/issues/26559" rel="noreferrer noopener">'
        "tensorflow/tensorflow#26559</a>"
    )
    assert 'href="https://x/&#34;onclick=&#34;"' in link('https://x/"onclick="')


def test_threads_that_moved_between_the_looks_come_first() -> None:
    collection, _ = report_samples.last_batch_hang()
    first, second, *_ = thread_rows(collection.processes[0], {})
    assert (first.moved, first.cpu, first.switches, second.moved) == (True, "10 ms", "1", False)
    assert first.waits_in == "_call_tf_sessionrun"


def test_numbers_out_of_any_range_are_borne() -> None:
    collection, diagnosis = report_samples.last_batch_hang()
    for number in (float("nan"), float("inf"), -1e300, 1e300):
        odd = msgspec.structs.replace(collection, collected_at=number, seconds=number, skew=number)
        findings = (msgspec.structs.replace(diagnosis.findings[0], confidence=number),)
        render_html(odd, msgspec.structs.replace(diagnosis, findings=findings))


def test_two_processes_may_claim_one_rank() -> None:
    collection, diagnosis = report_samples.last_batch_hang()
    twice = msgspec.structs.replace(collection, processes=collection.processes + collection.processes[:1])
    assert "pid 4120" in render_html(twice, diagnosis)


def test_a_dead_rank_says_what_ended_it() -> None:
    collection, _ = report_samples.last_batch_hang()
    dead = msgspec.structs.replace(collection.processes[0], state=State.DEAD, exit_status=-9, running_after=False)
    finding = Finding("peer-dead", "peer-dead", 0.9, "A rank died", ())
    html = render_html(Collection(0.0, 0.0, (dead,)), Diagnosis("peer-dead", "worker:0 died.", (finding,), ()))
    assert "ended by SIGKILL" in html and "NOT running" in html
