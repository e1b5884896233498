"""The HTML in a real browser: something is drawn at every width, nothing overflows, nothing is fetched."""

from __future__ import annotations

import http.server
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from diagnostics.model import Collection, Diagnosis
from diagnostics.report.html import render_html

sys.path.insert(0, str(Path(__file__).parents[1] / "fast"))
import report_hostile
import report_samples

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WIDTHS = (1280, 390)
SAMPLES: dict[str, Callable[[], tuple[Collection, Diagnosis]]] = {
    "last_batch_hang": report_samples.last_batch_hang,
    "unknown": report_samples.unknown,
    "large": report_hostile.large,
    "poisoned": lambda: report_hostile.poisoned("</td></table>" + "W" * 300),
}
SECTIONS = ("verdict", "positions", "findings", "ranks", "timeline", "waits", "stacks", "details", "repeat")


@pytest.fixture(scope="module", autouse=True)
def needs_a_browser() -> None:
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("no Chromium on PATH: apt-get install chromium")
        pytest.skip("no Chromium on PATH")


def chromium(folder: Path, address: str, *options: str) -> str:
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--hide-scrollbars", f"--user-data-dir={folder / 'profile'}",
        *options, address,
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def screenshot(folder: Path, html: str, width: int, height: int, *options: str) -> Image:
    page, shot = folder / "page.html", folder / "shot.png"
    page.write_text(html, encoding="utf-8")
    size = f"--window-size={width},{height}"
    chromium(folder, page.as_uri(), f"--screenshot={shot}", size, *options)
    return Image(shot)


class Image:
    """A decoded screenshot."""

    def __init__(self, path: Path) -> None:
        pillow = pytest.importorskip("PIL.Image")
        with pillow.open(path) as image:
            self.rgb = image.convert("RGB")
        self.width, self.height = self.rgb.size

    def drawn(self, top: int, bottom: int) -> float:
        """Share of the pixels between two lines that differ from the page's background."""
        band = self.rgb.crop((0, top, self.width, bottom))
        background = self.rgb.getpixel((1, 1))
        counts: list[tuple[int, Any]] = band.getcolors(maxcolors=band.width * band.height)
        return 1 - sum(n for n, colour in counts if colour == background) / float(band.width * band.height)

    def colours(self) -> int:
        return len(self.rgb.getcolors(maxcolors=self.width * self.height))

    def brightness(self) -> float:
        return float(sum(self.rgb.getpixel((1, 1)))) / 3


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["last_batch_hang", "unknown", "healthy"])
def test_something_is_drawn_all_the_way_down(name: str, width: int, tmp_path: Path) -> None:
    image = screenshot(tmp_path, render_html(*getattr(report_samples, name)()), width, 900)
    assert image.width == width
    assert image.colours() > 50
    for top in range(0, 900, 300):
        assert image.drawn(top, top + 300) > 0.01, f"nothing between {top} and {top + 300}"


def test_an_empty_page_would_be_seen(tmp_path: Path) -> None:
    image = screenshot(tmp_path, "<!doctype html><body></body>", 390, 300)
    assert image.colours() == 1 and image.drawn(0, 300) == 0


def test_it_is_dark_where_the_reader_wants_it_dark(tmp_path: Path) -> None:
    html = render_html(*report_samples.last_batch_hang())
    light = screenshot(tmp_path, html, 1280, 600, "--blink-settings=preferredColorScheme=1")
    dark = screenshot(tmp_path, html, 1280, 600, "--blink-settings=preferredColorScheme=0")
    assert light.brightness() > 200 and dark.brightness() < 60


def measured(folder: Path, html: str, width: int, script: str) -> str:
    """The title after `script` has run in the page, in a frame of exactly that width.

    Headless windows are not narrower than about 500 pixels. The page's policy would keep the probe out.
    """
    open_policy = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html)
    assert open_policy != html
    (folder / "inner.html").write_text(open_policy, encoding="utf-8")
    outer = (
        f'<!doctype html><iframe id="f" src="inner.html" style="width:{width}px;height:900px;border:0">'
        "</iframe>"
        "<script>onload = () => { const d = document.getElementById('f').contentDocument;"
        f"document.title = 'answer ' + ({script})(d); }}</script>"
    )
    (folder / "outer.html").write_text(outer, encoding="utf-8")
    dom = chromium(
        folder, (folder / "outer.html").as_uri(), "--allow-file-access-from-files", "--dump-dom",
        "--virtual-time-budget=5000", "--window-size=1400,1000",
    )  # fmt: skip
    answer = re.search(r"<title>answer (.*?)</title>", dom)
    assert answer, dom[:2000]
    return answer[1]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", SAMPLES)
def test_the_body_does_not_scroll_sideways(name: str, width: int, tmp_path: Path) -> None:
    sample = SAMPLES[name]()
    script = (
        "d => { d.querySelectorAll('details').forEach(x => x.open = true);"
        "return d.documentElement.scrollWidth + ' ' + d.documentElement.clientWidth }"
    )
    widest, visible = measured(tmp_path, render_html(*sample), width, script).split()
    assert int(widest) <= int(visible) <= width


def test_every_section_takes_room(tmp_path: Path) -> None:
    script = "d => [...d.querySelectorAll('section')].map(s => s.clientHeight).join(' ')"
    heights = measured(tmp_path, render_html(*report_samples.last_batch_hang()), 1280, script).split()
    assert len(heights) == len(SECTIONS)
    assert all(int(height) > 40 for height in heights)


def test_the_filter_shows_what_it_is_asked_for(tmp_path: Path) -> None:
    script = (
        "d => { const box = d.getElementById('filter'); "
        "const seen = () => [...d.querySelectorAll('.tree li')].filter(x => !x.hidden).length;"
        "const before = seen(); box.value = 'LocalMaster worker';"
        "box.dispatchEvent(new Event('input')); apply(); const after = seen(); box.value = 'no such thing';"
        "box.dispatchEvent(new Event('input')); apply();"
        "return [before, after, seen(), box.parentElement.hidden] }"
    )
    # The page waits for the typing to pause; the probe does not.
    html = render_html(*report_samples.last_batch_hang())
    now = html.replace("const apply = ", "const apply = window.parent.apply = ")
    before, after, none, hidden = measured(tmp_path, now, 1280, script).split(",")
    assert int(before) > int(after) == 2
    assert (none, hidden) == ("0", "false")


FLAME = """d => {
  const [tree, flame] = ['.tree', '#flame'].map(x => d.querySelector(x)), boxes = () => [...flame.children];
  const share = box => Math.round(box.offsetWidth * 100 / flame.clientWidth);
  const now = () => d.activeElement.textContent + ' ' + share(d.activeElement);
  const press = (...keys) => { for (const key of keys) d.activeElement.dispatchEvent(
    new d.defaultView.KeyboardEvent('keydown', {key, bubbles: true})); return now() };
  const said = [d.getElementById('views').hidden, tree.hidden, boxes().length];
  d.querySelectorAll('.views button')[1].click();
  said.push(tree.hidden, boxes().filter(x => x.tabIndex === 0).length);
  flame.querySelector('[tabindex="0"]').focus();
  said.push(press('ArrowDown'), press('ArrowDown', 'ArrowDown'), press('ArrowLeft'), press('Enter'));
  said.push(d.getElementById('flame-told').textContent, press('Escape', 'Escape', 'Escape', 'Escape'), press('Home'));
  const box = d.getElementById('filter'); box.value = 'LocalMaster worker';
  box.dispatchEvent(new d.defaultView.Event('input'));
  said.push(boxes().filter(x => !x.matches('.miss')).map(x => x.textContent).join());
  d.querySelector('.views button').click();
  return said.concat(tree.hidden, flame.clientWidth).join(' | ')
}"""


@pytest.mark.parametrize("width", WIDTHS)
def test_the_stacks_are_drawn_as_a_flame_and_walked_by_keys(width: int, tmp_path: Path) -> None:
    """A box is as wide as its share of the six threads; Enter enlarges one to the full width, and Escape goes back."""
    said = measured(tmp_path, render_html(*report_samples.last_batch_hang()), width, FLAME).split(" | ")
    assert said == [
        "false", "false", "0", "true", "1",
        "ps:0-3, worker:0 · &lt;module&gt; 83", "ps:0-3 · join 67", "worker:0 · train_epoch 17",
        "worker:0 · train_epoch 100", "train_epoch, nodes/last_batch.py, worker:0, 1 thread",
        "all stacks but idle pool threads 100", "all stacks but idle pool threads 100", "LocalMaster::RunStep",
        "false", "0",
    ]  # fmt: skip


def accessibility_tree(folder: Path, address: str) -> list[dict[str, Any]]:
    """What a screen reader is told: CDP's Accessibility.getFullAXTree, with every fold open and the flame shown.

    Over pipes, which Chromium reads at descriptor 3 and writes at 4, messages ended by a zero byte.
    """
    shell = 'exec "$@" 3<&0 4>&1 </dev/null >/dev/null'
    command = [
        "sh", "-c", shell, "sh", str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={folder / 'profile'}", "--remote-debugging-pipe", "about:blank",
    ]  # fmt: skip
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as browser:
        assert browser.stdin and browser.stdout
        requests, answers, number = browser.stdin, browser.stdout, 0
        watchdog = threading.Timer(100, browser.kill)  # then the answer ends, and the read with it
        watchdog.start()

        def message() -> dict[str, Any]:
            read = b"".join(iter(lambda: answers.read(1), b"\0"))
            return dict(json.loads(read))

        def until(wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
            while not wanted(answer := message()):
                assert "error" not in answer, answer
            return answer

        def call(method: str, session: str = "", **params: Any) -> dict[str, Any]:
            nonlocal number
            number += 1
            asked = {"id": number, "method": method, "params": params} | ({"sessionId": session} if session else {})
            requests.write(json.dumps(asked).encode() + b"\0")
            requests.flush()
            return dict(until(lambda answer: answer.get("id") == number)["result"])

        target = call("Target.createTarget", url="about:blank")["targetId"]
        session = call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        call("Page.enable", session)
        call("Page.navigate", session, url=address)
        until(lambda answer: answer.get("method") == "Page.loadEventFired")
        call("Runtime.evaluate", session, expression=OPENED)
        nodes: list[dict[str, Any]] = call("Accessibility.getFullAXTree", session)["nodes"]
        call("Browser.close")
        watchdog.cancel()
    known = {node["nodeId"]: node for node in nodes}

    def walk(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield node
        for child in node.get("childIds", ()):
            yield from walk(known[child])

    return [node for node in walk(nodes[0]) if not node["ignored"]]  # in the order of the page


OPENED = """
  document.querySelectorAll('details').forEach(x => x.open = true);
  document.querySelectorAll('.views button')[1]?.click();
"""
NAMED = {
    "RootWebArea", "button", "searchbox", "textbox", "link", "region", "tree", "treeitem", "img", "heading",
    "columnheader", "rowheader", "DisclosureTriangle",
}  # fmt: skip


@pytest.mark.parametrize("name", ["last_batch_hang", "eight_ranks", "unknown", "empty"])
def test_a_screen_reader_is_told_what_everything_is(name: str, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(render_html(*getattr(report_samples, name)()), encoding="utf-8")
    nodes = accessibility_tree(tmp_path, page.as_uri())
    said = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes]
    assert len(said) > 20
    assert not [role for role, words in said if role in NAMED and not words.strip()]
    levels = [
        prop["value"]["value"]
        for node in nodes if node["role"]["value"] == "heading"
        for prop in node["properties"] if prop["name"] == "level"
    ]  # fmt: skip
    assert levels[0] == 1 and all(after <= before + 1 for before, after in itertools.pairwise(levels)), levels
    tables = [role for role, _ in said if role in ("table", "columnheader")]
    assert all(after == "columnheader" for before, after in itertools.pairwise(tables) if before == "table"), tables
    assert tables[-1:] != ["table"]
    if name == "last_batch_hang":
        assert ("treeitem", "train_epoch, nodes/last_batch.py, worker:0, 1 thread") in said
        assert ("button", "Flame") in said


class Counting(http.server.BaseHTTPRequestHandler):
    """Serves one page and writes down what is asked for."""

    page = b""
    asked: list[str]

    def do_GET(self) -> None:
        type(self).asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(self.page)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[tuple[type[Counting], str]]:
    handler = type("Handler", (Counting,), {"asked": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield handler, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_nothing_is_fetched(site: tuple[type[Counting], str], tmp_path: Path) -> None:
    handler, address = site
    hostile = f'<img src="{address}/stolen"><script src="{address}/stolen"></script>'
    handler.page = render_html(*report_hostile.poisoned(hostile)).encode()
    dom = chromium(tmp_path, f"{address}/report", "--dump-dom")
    assert dom.count("<section") == len(SECTIONS)
    assert [path for path in handler.asked if path != "/favicon.ico"] == ["/report"]


def test_even_an_injected_script_could_not_run_or_fetch(
    site: tuple[type[Counting], str], tmp_path: Path
) -> None:
    handler, address = site
    html = render_html(*report_samples.last_batch_hang())
    attack = (
        f"<img src='{address}/stolen'><script>document.title = 'taken'</script>"
        f"<script>fetch('{address}/stolen')</script><link rel=stylesheet href='{address}/stolen'>"
    )
    handler.page = html.replace("<main>", f"<main>{attack}").encode()
    dom = chromium(tmp_path, f"{address}/report", "--dump-dom")
    assert "<title>taken" not in dom
    assert [path for path in handler.asked if path != "/favicon.ico"] == ["/report"]
