"""Tells a chat or a pager of a hang. The address may be a secret: of it only the host is ever said."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec

from diagnostics.errors import UsageError
from diagnostics.model import Diagnosis

SLACK = "hooks.slack.com"
TIMEOUT = 10.0
TRIES = 2
MOST = 3_000
"""Characters of the screen: a message of Slack's is cut at 4,000 (docs.slack.dev, incoming webhooks)."""
EXAMPLE = "For example: --webhook https://hooks.slack.com/services/..., or set LASTBATCH_WEBHOOK"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """What is told to one address is not told to another."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class Webhook:
    """Where to tell of a hang.

    Raises:
        UsageError: it is no address of http or https. The message does not repeat it.
    """

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError:
            good = False
        if not good or not url.isascii() or not url.isprintable() or " " in url:
            raise UsageError("the address for --webhook is not one of http or https", EXAMPLE)
        if parts.username is not None:
            raise UsageError("the address for --webhook holds a user's name", "Give a token in its path instead")
        self._url, self.host = url, parts.hostname or ""

    def payload(self, screen: str, diagnosis: Diagnosis, host: str, bundle: str) -> dict[str, Any]:
        """Slack's form for Slack, a plain one for all others. `screen`: the first screen, without colors."""
        screen = screen if len(screen) <= MOST else screen[:MOST] + "\n..."
        if self.host == SLACK:
            # Three characters are Slack's own marks (docs.slack.dev, formatting message text).
            plain = screen.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("```", "'''")
            return {"text": f"lastbatch on {host}\n```{plain}```"}
        culprits = [{"rank": one.rank, "pid": one.pid, "host": one.host, "why": one.why} for one in diagnosis.culprits]
        return {
            "host": host, "verdict": diagnosis.verdict, "summary": diagnosis.summary, "culprits": culprits,
            "screen": screen, "bundle": bundle,
        }  # fmt: skip

    def post(self, payload: dict[str, Any]) -> Callable[[], str]:
        """Begin to send it, twice if need be: who posts has more urgent things to do meanwhile.

        What is returned waits for the end, in limited time, and says why it did not arrive, "" where it did. Neither
        raises.
        """
        told = ["no answer in time"]
        thread = threading.Thread(target=lambda: told.__setitem__(0, self._tries(payload)), daemon=True)
        thread.start()

        def arrived() -> str:
            thread.join(TRIES * TIMEOUT + 1)
            return told[0]

        return arrived

    def _tries(self, payload: dict[str, Any]) -> str:
        why = ""
        for _ in range(TRIES):
            why = self._try(msgspec.json.encode(payload))
            if not why:
                break
        return why

    def _try(self, body: bytes) -> str:
        request = urllib.request.Request(self._url, body, {"Content-Type": "application/json"}, method="POST")
        try:
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=TIMEOUT):
                return ""
        except urllib.error.HTTPError as error:
            error.close()
            return f"it answered with HTTP status {error.code}"
        except urllib.error.URLError as error:
            return _said(error.reason)
        except Exception as error:  # of many kinds, and their words may hold the address
            return _said(error)


def _said(error: object) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
