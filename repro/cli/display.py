"""How a trial gets on, as it is shown to who waits for it: a line on a terminal, lines now and then elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from diagnostics.cli.console import words


class Display:
    """Observer of trials, as a progress line on a terminal."""

    def __init__(self, progress: Progress, task: TaskID, arm: str) -> None:
        self._progress, self._task, self._arm = progress, task, arm

    def stage(self, words: str) -> None:
        self._progress.update(self._task, description=f"{self._arm}: {words}")

    def progress(self, epoch_ends: int, target: int, seconds: float) -> None:
        self._progress.update(self._task, completed=epoch_ends, total=target, count=f"{epoch_ends}/{target} epoch ends")


class Log:
    """Observer of trials, as lines now and then, where standard error is no terminal."""

    every = 15.0

    def __init__(self, arm: str) -> None:
        self._arm, self._said, self._stage = arm, 0.0, ""

    def stage(self, words_: str) -> None:
        if words_ != self._stage:
            words.print(f"{self._arm}: {words_}", markup=False, soft_wrap=True)
        self._stage = words_

    def progress(self, epoch_ends: int, target: int, seconds: float) -> None:
        if seconds >= self._said + self.every:
            self._said = seconds
            self.stage(f"{epoch_ends}/{target} epoch ends after {seconds:.0f} s")


@contextmanager
def displayed(arm: str) -> Iterator[Display | Log]:
    if not words.is_terminal:
        yield Log(arm)
        return
    columns = (
        SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(20),
        TextColumn("{task.fields[count]}"), TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=words, transient=True) as progress:
        yield Display(progress, progress.add_task(arm, total=None, count=""), arm)
