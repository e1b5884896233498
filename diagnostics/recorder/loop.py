"""Recording any training loop: context managers, and a wrapper for its iteration."""

from types import TracebackType
from typing import Any, Callable, Iterable, Iterator, Optional, Type

_ENDS_OF_SEQUENCE = ("OutOfRangeError", "StopIteration", "StopAsyncIteration")
_NOT_ERRORS = (GeneratorExit, KeyboardInterrupt, SystemExit)


def is_end_of_sequence(kind: Optional[type]) -> bool:
    """Whether this class of exception says that the input is exhausted; by name, to import no framework."""
    return kind is not None and any(base.__name__ in _ENDS_OF_SEQUENCE for base in kind.__mro__)


def describe(error: Any) -> str:
    """One exception as the recorder keeps it: ``Type: text``."""
    return "%s: %s" % (type(error).__name__, error)


def rows_of(batch: Any) -> int:
    """How many rows a batch has, or -1.

    The first dimension of what has a ``shape``; for a tuple, list or dict of such (or of lists) that of its
    first; otherwise ``len``. Takes no values from devices: shapes only. A list of equally shaped examples
    counts as a list of features, as frameworks batch them.
    """
    try:
        for _ in range(8):
            shape = getattr(batch, "shape", None)
            if shape is not None:
                return int(shape[0]) if len(shape) else -1
            if isinstance(batch, (str, bytes)):
                return -1
            first = next(iter(batch.values())) if isinstance(batch, dict) else None
            if isinstance(batch, (tuple, list)) and batch:
                first = batch[0]
            if not hasattr(first, "shape") and not isinstance(first, (tuple, list, dict)):
                return len(batch)
            batch = first
    except Exception:
        pass
    return -1


class Span(object):
    """A begin and its end around a block. An exception in the block is recorded and goes on."""

    __slots__ = ("_begin", "_end", "_recorder")

    def __init__(self, recorder: Any, begin: Callable[[], Any], end: Callable[[bool], Any]) -> None:
        self._recorder = recorder
        self._begin = begin
        self._end = end

    def __enter__(self) -> Any:
        self._begin()
        return self._recorder

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        if kind is not None:
            if is_end_of_sequence(kind):
                self._recorder.end_of_sequence()
            elif not issubclass(kind, _NOT_ERRORS):
                self._recorder.error(describe(error))
        self._end(kind is not None)


class StepSpan(Span):
    """A step around a block. Its method ``rows`` says how many rows the step's batch has."""

    __slots__ = ("_rows",)

    def __init__(self, recorder: Any, step: Optional[int]) -> None:
        self._rows = -1
        super(StepSpan, self).__init__(
            recorder,
            lambda: recorder.step_begin(step),
            lambda failed: recorder.step_end(self._rows, failed),
        )

    def __enter__(self) -> "StepSpan":
        self._begin()
        return self

    def rows(self, n: int) -> None:
        """The batch has arrived and has n rows."""
        self._rows = n
        self._recorder.rows(n)


class Loop(object):
    """The context managers, on top of the plain calls of a recorder."""

    __slots__ = ()

    def step(self, step: Optional[int] = None) -> StepSpan:
        """``with rec.step() as step:`` around one step. StopIteration means the end of the sequence."""
        return StepSpan(self, step)

    def in_epoch(self, epoch: int) -> Span:
        """``with rec.in_epoch(3):`` around one pass over the input."""
        rec: Any = self
        return Span(rec, lambda: rec.epoch_begin(epoch), lambda failed: rec.epoch_end(epoch))

    def saving(self, name: str = "") -> Span:
        """``with rec.saving():`` around writing a checkpoint."""
        rec: Any = self
        return Span(rec, lambda: rec.save_begin(name), lambda failed: rec.save_end(name))

    def barrier(self, name: str) -> Span:
        """``with rec.barrier("start"):`` around waiting for the other ranks."""
        rec: Any = self
        return Span(rec, lambda: rec.barrier_begin(name), lambda failed: rec.barrier_end(name))

    def phase(self, name: str) -> Span:
        """``with rec.phase("evaluation"):`` around something long that is no hang."""
        rec: Any = self
        return Span(rec, lambda: rec.phase_begin(name), lambda failed: rec.phase_end(name))

    def batches(self, iterable: Iterable[Any], epoch: Optional[int] = None) -> Iterator[Any]:
        """Go through an iterable, one step a batch.

        A step begins before its batch is asked for; ``ROWS`` says that it came: an open step without it
        waits for its input. The iterable's end is the end of the sequence and ends its step as failed. With
        ``epoch``, that begins and ends too.
        """
        rec: Any = self
        if epoch is not None:
            rec.epoch_begin(epoch)
        iterator = iter(iterable)
        while True:
            rec.step_begin()
            rows = -1
            failed = True
            try:
                try:
                    batch = next(iterator)
                except Exception as error:
                    if is_end_of_sequence(type(error)):
                        rec.end_of_sequence()
                        break
                    rec.error(describe(error))
                    raise
                rows = rows_of(batch)
                rec.rows(rows)
                try:
                    yield batch
                    failed = False
                except GeneratorExit:
                    # The loop was left by break or by an error of its own: which one cannot be seen from
                    # here.
                    failed = False
                    raise
            finally:
                rec.step_end(rows, failed)
            del batch  # The next one is made before this name would be bound again: do not hold two.
        if epoch is not None:
            rec.epoch_end(epoch)
