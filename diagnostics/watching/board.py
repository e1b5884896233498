"""Where others see how a watch stands: a file for node_exporter, and pages."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from diagnostics.errors import MissingError
from diagnostics.model import Collection, Diagnosis
from diagnostics.report.live import Live, LiveRank, Phase, after_look, render_live
from diagnostics.report.metrics import CONTENT_TYPE, metrics_text
from diagnostics.watching.serving import Page, Server
from diagnostics.watching.watcher import Watcher

HTML = "text/html; charset=utf-8"


class Board:
    """Holds what is known of the job and shows it. To be used with `with`.

    Args:
        metrics: a file to keep up to date, in the form that node_exporter's textfile collector reads.
        serve: host and port to serve at.

    Raises:
        MissingError: the file cannot be written, or the address not be had.
    """

    def __init__(self, metrics: Path | None = None, serve: tuple[str, int] | None = None) -> None:
        self.live = Live(socket.gethostname(), Phase.WATCHING, time.time())
        self.lost = ""
        """Why the file could not be kept up to date, "" where it is."""
        self._metrics = metrics
        self._look: tuple[Collection, Diagnosis] | None = None
        self._report: tuple[Diagnosis, Page] | None = None
        if metrics:
            try:
                self._write(metrics)
            except OSError as error:
                raise MissingError(
                    f"cannot write {metrics}: {error.strerror}", "Name another file with --metrics"
                ) from None
        pages = {"/": self._page, "/report": self._of_look, "/metrics": self._numbers}
        self._server = Server(serve, pages) if serve else None
        self.url = self._server.url if self._server else ""

    def __enter__(self) -> Board:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._server:
            self._server.close()
        if kind and self._metrics:  # nobody watches any more: a file that says so would be wrong for ever
            self._metrics.unlink(missing_ok=True)

    def phase(self, phase: Phase, ago: float = 0.0) -> None:
        """It is in this phase since so many seconds ago."""
        known = () if phase is Phase.WATCHING else self.live.culprits
        summary = "" if phase is Phase.WATCHING else self.live.summary
        ranks = self.live.ranks if phase is not Phase.WATCHING else ()
        self._show(Live(self.live.host, phase, time.time() - ago, ranks, known, summary, self.live.hangs))

    def look(self, phase: Phase, collection: Collection, diagnosis: Diagnosis, ago: float) -> None:
        """Somebody has looked at the job: what came out, of a time that began so many seconds ago."""
        self._look = collection, diagnosis
        since = msgspec.structs.replace(self.live, since=time.time() - ago)
        self._show(after_look(since, phase, collection, diagnosis))

    def seen(self, watcher: Watcher) -> None:
        """The watcher has looked at the counters of all processes."""
        if self.live.phase not in (Phase.WATCHING, Phase.QUIET):
            return
        wall = time.time() - time.monotonic()
        ranks = tuple(
            LiveRank(rank, pid, self.live.host, moved=wall + since) for pid, (rank, since) in watcher.moved().items()
        )
        self._show(msgspec.structs.replace(self.live, ranks=ranks))

    def _show(self, live: Live) -> None:
        self.live = live
        if self._metrics:
            try:
                self._write(self._metrics)
                self.lost = ""
            except OSError as error:
                self.lost = f"{error.strerror}: {self._metrics}"

    def _write(self, path: Path) -> None:
        """At once or not at all: who reads it meanwhile has the file of before."""
        new = path.with_name(f".{path.name}.{os.getpid()}.new")  # node_exporter reads what ends in .prom
        try:
            new.unlink(missing_ok=True)
            with new.open("x", encoding="utf-8") as file:  # never through somebody's link
                file.write(metrics_text(self.live))
            new.replace(path)
        except OSError:
            with suppress(OSError):
                new.unlink(missing_ok=True)
            raise

    def _page(self) -> Page:
        return Page(HTML, render_live(self.live, bool(self._look)))

    def _of_look(self) -> Page | None:
        look = self._look  # asked for in a thread of its own: the next look may come meanwhile
        if look is None:
            return None
        from diagnostics.report.html import render_html  # jinja2, for who asks for the page alone

        if self._report is None or self._report[0] is not look[1]:
            self._report = look[1], Page(HTML, render_html(*look))
        return self._report[1]

    def _numbers(self) -> Page:
        return Page(CONTENT_TYPE, metrics_text(self.live))
