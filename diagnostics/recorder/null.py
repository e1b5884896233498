"""The recorder that does nothing, so that a job needs no ``if``."""

from typing import Any, Optional

from .loop import Loop


class NullRecorder(Loop):
    """Has every method of :class:`.writer.Recorder` and does nothing."""

    __slots__ = ()

    enabled = False
    path = None
    rank = ""
    step_number = -1
    epoch = -1
    begun = 0
    ended = 0
    dropped = 0
    alive = False
    exited = False

    def step_begin(self, step: Optional[int] = None) -> None:
        """Nothing."""

    def step_end(self, rows: int = -1, failed: bool = False) -> None:
        """Nothing."""

    def rows(self, n: int) -> None:
        """Nothing."""

    def tick(self, value: int = -1) -> None:
        """Nothing."""

    def epoch_begin(self, epoch: int) -> None:
        """Nothing."""

    def epoch_end(self, epoch: Optional[int] = None) -> None:
        """Nothing."""

    def end_of_sequence(self) -> None:
        """Nothing."""

    def save_begin(self, name: str = "") -> None:
        """Nothing."""

    def save_end(self, name: str = "") -> None:
        """Nothing."""

    def barrier_begin(self, name: str) -> None:
        """Nothing."""

    def barrier_end(self, name: str) -> None:
        """Nothing."""

    def phase_begin(self, name: str) -> None:
        """Nothing."""

    def phase_end(self, name: str) -> None:
        """Nothing."""

    def error(self, text: Any) -> None:
        """Nothing."""

    def exit(self, code: int = -1) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""
