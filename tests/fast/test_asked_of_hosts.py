"""What is asked for later: how long a source may take there, and what only a user's wish starts."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from diagnostics import frameworks
from diagnostics.collector.look import Look, Target
from diagnostics.collector.sources import kernels
from diagnostics.model import Process
from diagnostics.transport import Fleet, ask, hosts, program


class Anything(msgspec.Struct):
    pass


def test_a_source_gets_no_more_time_than_its_visit_has(monkeypatch: pytest.MonkeyPatch) -> None:
    orders: list[Mapping[str, Any]] = []

    def script(order: Mapping[str, Any], machine: str) -> program.Script:
        orders.append(order)
        return program.Script(b"", ())

    monkeypatch.setattr(program, "script", script)
    monkeypatch.setattr(hosts, "run_on", lambda *_: {})
    there = hosts.There(Fleet(("a",), "ssh {host}", deadline=20.0), (hosts.OnHost("a", "x86_64"),))
    for seconds in (240.0, 5.0):
        ask(there, "kernels", [Process("worker:0", 7, "a")], {"each": 60.0}, Anything, seconds)
    assert [order["seconds"] for order in orders] == [hosts.SHARE * 20.0, 5.0]
    assert all(order["wanted"] == {"each": 60.0} for order in orders), "what a source has to know holds no deadline"


def test_no_debugger_of_the_card_is_started_when_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "tool", lambda: "/bin/false")
    found = kernels.asked(Look([Target(2**22 + 1)]), {"each": 60.0}, time.monotonic() - 1.0)
    assert found[2**22 + 1]["why_not"] == "the other processes took too long"


def test_the_card_is_asked_only_where_the_user_asks_for_it_and_last() -> None:
    usual, asked = [[name for name, _ in frameworks.enrichers(words)] for words in ((), ("device",))]
    assert "nccl" in usual and "cuda" not in usual
    assert asked == [*usual, "cuda"]


def test_scripts_for_many_hosts_share_the_tools_that_they_carry() -> None:
    """GIVEN one order for each of some thousand hosts, THEN all of them together are not as large as their tools."""
    order = {"do": ["observe", "stacks"], "targets": [{"pid": 1}]}
    one, other = program.script(order, platform.machine()), program.script({**order, "gap": 2.0}, platform.machine())
    large = [part for part in one.parts if len(part) > 1 << 20]
    assert large and all(any(part is same for same in other.parts) for part in large)
    assert one.rest != other.rest and one.rest.startswith(program.MARK)
