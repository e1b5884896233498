"""How a watch is told to others: metrics, the page, the webhook; and what of a wrong call is refused."""

from __future__ import annotations

import json
import re
import socket
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
import report_samples

from diagnostics import pipeline
from diagnostics.cli.watch import _Watch
from diagnostics.errors import MissingError, UsageError
from diagnostics.model import Culprit, State
from diagnostics.report.live import Live, LiveRank, Phase, after_look, render_live
from diagnostics.report.metrics import METRICS, metrics_text
from diagnostics.watching import Board, Webhook, address_of

SERIES = re.compile(r'[a-z_]+\{[a-z]+="(?:[^"\\\n]|\\.)*"(?:,[a-z]+="(?:[^"\\\n]|\\.)*")*\} -?[0-9.e+]+')
BEFORE = Live("node-a", Phase.WATCHING, 1000.0, (LiveRank("worker:0", 7, "node-a", moved=990.5),))


def after_hang() -> Live:
    return after_look(BEFORE, Phase.HUNG, *report_samples.last_batch_hang())


def test_each_line_is_a_series_of_a_metric_that_is_explained() -> None:
    for live in (BEFORE, after_hang()):
        lines = metrics_text(live).splitlines()
        told = {line.split()[2] for line in lines if line.startswith("# TYPE ")}
        series = [line for line in lines if not line.startswith("#")]
        assert series and all(SERIES.fullmatch(line) and line.split("{")[0] in told for line in series), series
        assert len({line.rpartition(" ")[0] for line in series}) == len(series)


def test_a_hang_is_told_with_each_rank_s_state_since_when_and_the_culprit() -> None:
    collection, diagnosis = report_samples.last_batch_hang()
    first, *others = collection.processes
    collection = msgspec.structs.replace(collection, processes=(msgspec.structs.replace(first, since=31.5), *others))
    culprit = Culprit(first.rank, first.pid, first.host, 0.75, "it does not send")
    diagnosis = msgspec.structs.replace(diagnosis, culprits=(culprit,))
    text, end = (
        metrics_text(after_look(BEFORE, Phase.HUNG, collection, diagnosis)),
        collection.collected_at + collection.seconds,
    )
    assert 'lastbatch_watch_state{host="node-a",state="hung"} 1.0' in text
    assert 'lastbatch_hangs_total{host="node-a"} 1.0' in text
    for one in collection.processes:
        labels = f'host="{one.host}",rank="{one.rank}",pid="{one.pid}"'
        assert f'lastbatch_rank_state{{{labels},state="{one.state.value}"}} 1.0' in text
        since = f"lastbatch_rank_state_since_timestamp_seconds{{{labels}}}"
        assert (f"{since} {round(end - one.since, 3)}\n" in text) if one.since >= 0 else since not in text
    assert f'rank="{first.rank}",pid="{first.pid}"}} 0.75\n' in text


def test_a_rank_that_nobody_looked_at_is_unknown_however_busy_it_is() -> None:
    text = metrics_text(BEFORE)
    assert f'pid="7",state="{State.UNKNOWN.value}"}} 1.0' in text and "last_moved" in text and "_culprit" not in text


def test_a_name_cannot_forge_a_series() -> None:
    forged = msgspec.structs.replace(BEFORE, ranks=(LiveRank('a"} 1\nfake{x="\\', 1, "h"),))
    lines = metrics_text(forged).splitlines()
    assert not [line for line in lines if line.startswith("fake")]
    assert all(line.startswith("#") or SERIES.fullmatch(line) for line in lines)


def test_the_dashboard_uses_the_metrics_that_are_written_and_no_others() -> None:
    dashboard = json.loads((Path(__file__).parents[2] / "docs" / "grafana.json").read_text())
    asked = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    assert set(re.findall(r"lastbatch_\w+", asked)) == {metric.name for metric in METRICS}
    assert set(re.findall(r"lastbatch_\w+", json.dumps(dashboard))) == {metric.name for metric in METRICS}


def test_the_page_says_the_phase_and_links_the_report_when_there_is_one() -> None:
    before, after = render_live(BEFORE, False), render_live(after_hang(), True)
    assert "/report" not in before and 'href="/report"' in after and "The job hangs" in after
    assert '<meta http-equiv="refresh"' in before and "<script" not in before + after
    hostile = msgspec.structs.replace(BEFORE, ranks=(LiveRank("<script>x", 1, "h"),))
    assert "<script" not in render_live(hostile, False)


def test_slack_gets_its_own_form_and_everybody_else_a_plain_one() -> None:
    _, diagnosis = report_samples.last_batch_hang()
    slack = Webhook("https://hooks.slack.com/services/T0/B0/secret")
    told = slack.payload("HUNG <module> & more ```", diagnosis, "node-a", "x.tar.zst")
    assert list(told) == ["text"] and "&lt;module&gt; &amp; more" in told["text"] and told["text"].count("```") == 2
    plain = Webhook("http://127.0.0.1:1/hook").payload("HUNG <module>", diagnosis, "node-a", "x.tar.zst")
    assert (
        plain["screen"] == "HUNG <module>" and plain["verdict"] == diagnosis.verdict and plain["bundle"] == "x.tar.zst"
    )
    assert [one["rank"] for one in plain["culprits"]] == [one.rank for one in diagnosis.culprits]
    assert len(json.dumps(slack.payload("x" * 100_000, diagnosis, "h", ""))) < 4_000


@pytest.mark.parametrize(
    "url",
    ["file:///s3cret", "s3cret", "https://", "http://h:s3cret/", "ftp://h/s3cret", "http://u:s3cret@h/",
     "http://h/ s3cret", "http://h/s3cret\n", "http://[s3cret/"],
)  # fmt: skip
def test_an_address_that_is_none_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageError) as refused:
        Webhook(url)
    assert "s3cret" not in str(refused.value) and "--webhook" in str(refused.value)


def test_a_webhook_that_nobody_serves_is_told_without_its_address() -> None:
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        why = Webhook(f"http://127.0.0.1:{taken.getsockname()[1]}/s3cret").post({"text": "x"})()
    assert why and "s3cret" not in why


def test_a_chat_that_is_slow_does_not_delay_what_is_done_about_a_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    """GIVEN a chat that answers only when the job has been killed, THEN it is killed, and the chat is told."""
    collection, diagnosis = report_samples.last_batch_hang()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    told: list[dict[str, Any]] = []
    killed = threading.Event()

    class Chat(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            if killed.wait(60):
                told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Chat) as chat, Board() as board:
        threading.Thread(target=chat.serve_forever, daemon=True).start()
        hook = Webhook(f"http://127.0.0.1:{chat.server_port}/")
        watch = _Watch([], None, 60.0, "kill", None, False, board, hook)
        watch._publish(pipeline.Answer(collection, diagnosis, None), Phase.HUNG, 3.0, killed.set)
        killed.set()  # also where it was forgotten, so that the chat ends
        chat.shutdown()
    assert [one["verdict"] for one in told] == [diagnosis.verdict]


@pytest.mark.parametrize(
    ("given", "address"),
    [("9177", ("127.0.0.1", 9177)), ("0.0.0.0:80", ("0.0.0.0", 80)), ("[::1]:9", ("::1", 9)), ("h:0", ("h", 0))],
)
def test_where_to_serve(given: str, address: tuple[str, int]) -> None:
    assert address_of(given) == address


@pytest.mark.parametrize("given", ["", "x", ":80", "h:", "h:99999", "80:h", "-1"])
def test_where_nobody_can_serve(given: str) -> None:
    with pytest.raises(UsageError, match="--serve"):
        address_of(given)


@dataclass
class Answer:
    status: int
    headers: Any
    text: str


def ask(url: str, method: str = "GET", **headers: str) -> Answer:
    request = urllib.request.Request(url, method=method, headers=headers)
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as got:
            return Answer(got.status, got.headers, got.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read().decode())


def test_what_is_served_and_what_is_refused() -> None:
    with Board(serve=("127.0.0.1", 0)) as board:
        assert ask(board.url).status == 200 and ask(board.url + "report").status == 404
        board.look(Phase.HUNG, *report_samples.last_batch_hang(), ago=3.0)
        numbers = ask(board.url + "metrics")
        assert numbers.text == metrics_text(board.live) and "version=0.0.4" in numbers.headers["Content-Type"]
        assert "The job hangs" in ask(board.url).text and "hang report" in ask(board.url + "report").text
        head = ask(board.url + "metrics", "HEAD")
        assert head.status == 200 and head.text == "" and int(head.headers["Content-Length"]) > 0
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE"):
            assert ask(board.url + "metrics", method).status == 405, method
        for path in ("etc/passwd", "../../etc/passwd", "%2e%2e/etc/passwd", "report/../../x"):
            assert ask(board.url + path).status == 404, path
        assert ask(board.url, Host="evil.example").status == 403
        with pytest.raises(MissingError, match="--serve"):
            Board(serve=("127.0.0.1", int(board.url.rstrip("/").rpartition(":")[2])))


def test_the_file_stays_with_a_verdict_and_goes_when_the_watch_is_broken_off(tmp_path: Path) -> None:
    file = tmp_path / "job.prom"
    with Board(metrics=file) as board:
        board.look(Phase.HUNG, *report_samples.last_batch_hang(), ago=3.0)
    assert file.read_text() == metrics_text(board.live) and list(tmp_path.iterdir()) == [file]
    with pytest.raises(KeyboardInterrupt), Board(metrics=file):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    for nowhere in (tmp_path / "none" / "job.prom", tmp_path):
        with pytest.raises(MissingError, match="--metrics"):
            Board(metrics=nowhere)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_later_does_not_stop_the_watch(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    with Board(metrics=place / "job.prom") as board:
        (place / "job.prom").unlink()
        place.rmdir()
        board.phase(Phase.QUIET)
        assert "job.prom" in board.lost
        place.mkdir()
        board.phase(Phase.WATCHING)
        assert not board.lost and (place / "job.prom").exists()
