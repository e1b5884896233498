"""A job hangs while it is watched: a chat is told, numbers and pages are there, the webhook's secret nowhere."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import msgspec
from conftest import LASTBATCH, wait_for

from diagnostics import bundle

STUCK = """
import threading
first, second, both = threading.Lock(), threading.Lock(), threading.Barrier(2)
def waits_for_ever(mine, other):
    with mine:
        both.wait()
        with other:
            pass
threads = [threading.Thread(target=waits_for_ever, args=locks) for locks in ((first, second), (second, first))]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""
SECRET = "B0SECRETSECRETSECRET"


def get(url: str) -> str:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=60) as answer:
        return str(answer.read().decode())


def test_a_hang_is_posted_and_shown(tmp_path: Path) -> None:
    (tmp_path / "stuck.py").write_text(STUCK)
    posted: list[dict[str, object]] = []

    class Chat(BaseHTTPRequestHandler):
        """Fails once, as a chat may."""

        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(503 if len(posted) == 1 else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    said, metrics = tmp_path / "said", tmp_path / "job.prom"
    words = ["watch", "--hang-after", "2", "--on-hang", "report", "--out", "w.tar.zst", "--metrics", str(metrics)]
    with HTTPServer(("127.0.0.1", 0), Chat) as chat, said.open("wb") as output:
        thread = threading.Thread(target=chat.serve_forever)
        thread.start()
        hook = f"http://127.0.0.1:{chat.server_port}/{SECRET}"
        with subprocess.Popen(
            [*LASTBATCH, *words, "--serve", "0", "--", sys.executable, "stuck.py"], cwd=tmp_path, stdout=output,
            stderr=subprocess.STDOUT, env={**os.environ, "LASTBATCH_WEBHOOK": hook, "NO_PROXY": "127.0.0.1"},
        ) as watch:  # fmt: skip
            try:
                wait_for(lambda: len(posted) == 2 or watch.poll() is not None, 120)
                assert watch.poll() is None, said.read_text()
                found = re.search(r"http://127\.0\.0\.1:\d+/", said.read_text())
                assert found, said.read_text()
                url = found[0]
                numbers, page, report = get(url + "metrics"), get(url), get(url + "report")
                assert metrics.read_text() == numbers
                watch.send_signal(signal.SIGINT)
                watch.wait(60)
            finally:
                watch.kill()
                chat.shutdown()
                thread.join()
    assert posted[0] == posted[1] and "waits_for_ever" in str(posted[1]["screen"]), posted
    assert re.search(r'lastbatch_watch_state\{host="[^"]*",state="hung"\} 1\.0', numbers), numbers
    assert re.search(r'lastbatch_rank_state\{[^}]*state="hung"\} 1\.0', numbers), numbers
    assert "lastbatch_culprit_confidence{" in numbers and 'href="/report"' in page and "waits_for_ever" in report
    assert watch.returncode == 130 and not metrics.exists(), said.read_text()
    evidence = msgspec.json.encode(bundle.read(tmp_path / "w.tar.zst").collection).decode()
    assert "stuck.py" in evidence
    assert SECRET not in said.read_text() + numbers + page + report + evidence


def test_a_wrong_call_is_told_before_the_job_starts(tmp_path: Path) -> None:
    started = ["--", "touch", "started"]
    for wrong, code, what in (
        (["--serve", "nowhere"], 2, "[HOST:]PORT"),
        (["--webhook", f"ftp://{SECRET}"], 2, "http or https"),
        (["--metrics", "none/job.prom"], 3, "cannot write none/job.prom"),
    ):
        done = subprocess.run(
            [*LASTBATCH, "watch", *wrong, *started],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code and what in done.stderr and SECRET not in done.stderr, done
    assert list(tmp_path.iterdir()) == []
