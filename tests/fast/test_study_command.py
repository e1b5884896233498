"""What every study command does alike: goes on with its file, ends at Ctrl-C, gives one JSON document."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from repro.cli import study_command
from repro.cli.study_command import Answer, Inquiry, Shared, conduct
from repro.study.cell import Cell
from repro.study.engine import Ended
from repro.study.store import Result, Trial
from repro.study.worker import TrialSpec

CELL = Cell("baseline", "last-batch", "dataset", "tf1.12")


class AtOnce:
    """An engine whose trials have ended as soon as they are asked for; Ctrl-C comes with the one numbered `stop`."""

    slots = 1

    def __init__(self, stop: int = 0) -> None:
        self._stop = stop
        self._running: list[int] = []

    def __enter__(self) -> AtOnce:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def start(self, number: int, spec: TrialSpec) -> None:
        self._running.append(number)

    def wait(self, seconds: float) -> list[Ended]:
        if self._stop in self._running:
            raise KeyboardInterrupt
        ended, self._running = self._running, []
        return [(number, Result("finished", epoch_ends=10, training=1.0, wall=2.0)) for number in ended]


def use(monkeypatch: pytest.MonkeyPatch, engine: AtOnce) -> None:
    @contextmanager
    def engine_for(name: str, cores: int, address: str | None) -> Iterator[AtOnce]:
        yield engine

    monkeypatch.setattr(study_command, "engine_for", engine_for)


def three_trials(seed: int = 1) -> Inquiry:
    def answer(trials: Sequence[Trial], settled: bool) -> Answer:
        return Answer({"ended": sum(trial.state == "ended" for trial in trials), "settled": settled}, ["all done"], 0)

    return Inquiry(
        verb="count",
        scenario="last-batch",
        asked={"seed": seed},
        ready=[],
        policy=lambda trials: CELL if sum(trial.state == "ended" for trial in trials) < 3 else None,
        summary=lambda trials: f"{len(trials)} so far",
        answer=answer,
    )


def test_a_study_that_was_stopped_says_how_it_goes_on_and_does(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """GIVEN Ctrl-C in the second trial THEN the file is named; the same command does the rest, the lost one again."""
    path = tmp_path / "s.sqlite"
    use(monkeypatch, AtOnce(stop=2))
    with pytest.raises(KeyboardInterrupt):
        conduct(three_trials(), Shared(study=path, as_json=True))
    out, err = capfd.readouterr()
    assert not out and f"--study {path}" in err
    use(monkeypatch, AtOnce())
    assert conduct(three_trials(), Shared(study=path, as_json=True)) == 0
    found = json.loads(capfd.readouterr().out)
    assert (found["ended"], found["settled"], found["lost"]) == (3, True, 1)
    assert found["study"] == str(path) and found["training_share"] == 0.5


def test_for_people_the_answer_is_followed_by_what_it_took(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    use(monkeypatch, AtOnce())
    assert conduct(three_trials(), Shared(study=tmp_path / "s.sqlite")) == 0
    out = capfd.readouterr().out
    assert out.index("all done") < out.index("3 trials in 6 s, 50% of it training")
