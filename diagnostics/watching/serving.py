"""Serves a few pages of a watch. What is asked for is looked up in a table: no path of a request reaches the disk."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, NamedTuple

from diagnostics.errors import MissingError, UsageError

LOOPBACK = "127.0.0.1"


class Page(NamedTuple):
    kind: str
    text: str


Pages = Mapping[str, Callable[[], Page | None]]
"""path -> what it shows now, None where there is nothing yet."""


def address_of(given: str) -> tuple[str, int]:
    """[HOST:]PORT; without a host, this machine alone can ask.

    Raises:
        UsageError: it is none.
    """
    host, _, port = given.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not port.isascii() or not port.isdigit() or int(port) > 65535 or given.startswith(":"):
        raise UsageError(
            f"{given!r} is no [HOST:]PORT", "For example: --serve 9177, or --serve 0.0.0.0:9177 for all hosts"
        )
    return host or LOOPBACK, int(port)


class Server:
    """Answers in threads of its own until it is closed.

    Raises:
        MissingError: the address cannot be had.
    """

    def __init__(self, address: tuple[str, int], pages: Pages) -> None:
        host, port = address
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            kind = type("_Server", (ThreadingHTTPServer,), {"address_family": found[0], "daemon_threads": True})
            handler = type("_Bound", (_Handler,), {"pages": pages, "own": _is_loopback(found[4][0]) and host})
            self._server: ThreadingHTTPServer = kind((found[4][0], port), handler)
        except OSError as error:
            raise MissingError(
                f"cannot serve at {host} port {port}: {error.strerror}", "Choose another port with --serve"
            ) from None
        name = f"[{host}]" if ":" in host else host
        self.url = f"http://{name}:{self._server.server_address[1]}/"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _is_loopback(host: object) -> bool:
    try:
        return ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        return False


class _Handler(BaseHTTPRequestHandler):
    pages: ClassVar[Pages] = {}
    own: ClassVar[str | bool] = False
    """The name served by where this machine alone can ask."""
    timeout = 10
    server_version, sys_version = "lastbatch", ""

    def do_GET(self) -> None:
        if not self._may_ask():
            return self._answer(403, Page("text/plain; charset=utf-8", "ask by this machine's own address\n"))
        make = self.pages.get(self.path.partition("?")[0])
        try:
            page = make() if make else None
        except Exception as error:  # a page that cannot be made is no reason to end the watch, nor the server
            return self._answer(500, Page("text/plain; charset=utf-8", f"cannot be shown: {type(error).__name__}\n"))
        if page is None:
            why = "there is nothing here yet\n" if make else f"there are only {', '.join(self.pages)}\n"
            return self._answer(404, Page("text/plain; charset=utf-8", why))
        return self._answer(200, page)

    do_HEAD = do_GET

    def _may_ask(self) -> bool:
        """A web site whose name points to this machine must not read through somebody's browser."""
        if not self.own:
            return True
        host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        host = host.removeprefix("[").removesuffix("]")
        return host in ("", "localhost", self.own) or _is_loopback(host)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._refuse
        raise AttributeError(name)

    def _refuse(self) -> None:
        self.close_connection = True
        self._answer(405, Page("text/plain; charset=utf-8", "only GET and HEAD\n"))

    def _answer(self, status: int, page: Page) -> None:
        body = page.text.encode("utf-8", "replace")
        self.send_response(status)
        self.send_header("Content-Type", page.kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        if status == 405:
            self.send_header("Allow", "GET, HEAD")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nobody is told who asked: the terminal belongs to the watch."""
