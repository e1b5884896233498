"""A host's cards as the driver's library tells them, asked through a stand-in for it: tests have no card."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from diagnostics.transport import Here, Options, Target, resample

SOURCE = Path(__file__).parents[1] / "data" / "nvml" / "stand_in.c"

ASK = """
import json, sys
from diagnostics.collector.sources import devices
with devices.Cards(sys.argv[1]) as cards:
    seen = cards.once()
    samples = [cards.sample() for _ in range(int(sys.argv[2]))]
    print(json.dumps({"why_not": cards.why_not, "cards": devices.joined(seen, samples, {7: [0], 8: [1]})}))
"""

Ask = Callable[..., Any]


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if not compiler:
        pytest.skip("no C compiler (apt-get install gcc)")
    made = tmp_path_factory.mktemp("nvml") / "libnvidia-ml.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", "-w", "-o", str(made), str(SOURCE)], check=True)
    return made


@pytest.fixture
def ask(library: Path, tmp_path: Path) -> Ask:
    def call(*lines: str, samples: int = 2) -> Any:
        script = tmp_path / "readings"
        script.write_text("\n".join(lines) + "\n", "utf-8")
        done = subprocess.run(
            [sys.executable, "-c", ASK, str(library), str(samples)],
            env={"NVML_STAND_IN": str(script), "PATH": "/usr/bin"}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return json.loads(done.stdout)

    return call


def test_a_card_tells_use_power_clock_and_who_has_it_open(ask: Ask) -> None:
    (card,) = ask("100 3 124000 1980 4096 0 0", "99 2 125000 1980 4096 0 0")["cards"]
    assert (card["name"], card["power_limit"], card["max_clock"], card["pids"]) == ("Stand-in H100", 700.0, 1980, [7])
    assert [(one["use"], one["power"], one["lost"]) for one in card["readings"]] == [(100, 124.0, ""), (99, 125.0, "")]
    assert card["readings"][0]["at"] < card["readings"][1]["at"]
    assert card["bus"] == "0000:3b:00"


def test_a_card_that_falls_off_the_bus_between_two_samples_is_told_as_that(ask: Ask) -> None:
    (card,) = ask("50 3 300000 1980 4096 0 0", "lost")["cards"]
    assert [one["lost"] for one in card["readings"]] == ["", "it has fallen off the bus"]


def test_why_the_clocks_are_held_down_is_told_in_words(ask: Ask) -> None:
    (card,) = ask(f"99 3 300000 900 4096 {0x1 | 0x8 | 0x40} 2", samples=1)["cards"]
    assert card["readings"][0]["slowed"] == ["hardware slowdown", "thermal (hardware)"]
    assert card["readings"][0]["uncorrected"] == 2


def test_a_host_without_a_driver_says_so_and_raises_nothing(library: Path) -> None:
    for wanted, why in (("/nowhere/libnvidia-ml.so.1", "no driver's library"), (str(library), "no driver is loaded")):
        argv = [sys.executable, "-c", ASK, wanted, "2"]
        answer = json.loads(subprocess.run(argv, env={}, capture_output=True, text=True, check=True).stdout)
        assert why in answer["why_not"] and answer["cards"] == []


def test_every_further_sample_reads_the_cards_again(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "readings"
    script.write_text("100 3 124000 1980 4096 0 0\n100 3 125000 1980 4096 0 0\n", "utf-8")
    monkeypatch.setenv("NVML_STAND_IN", str(script))
    monkeypatch.setenv("LD_LIBRARY_PATH", str(library.parent))
    reach = Here((Target(os.getpid(), "worker:0"),))
    before = reach.collect(Options(gap=0.1, collectors=("kernel",)), lambda _: None)
    after, _ = resample(before, reach, frames=False)
    assert [len(card.readings) for card in (*before.devices, *after.devices)] == [2, 3]
    assert {reading.use for reading in after.devices[0].readings} == {100}
