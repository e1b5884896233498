"""Hooks for graph-mode TensorFlow, 1.4 to 1.15 and ``tf.compat.v1``.

Use one of the two, not both: ``step_hook`` where a framework owns the loop (Estimator), ``RecordedSession``
around the session of a loop of one's own. The latter sees every error; a hook is not told of errors other
than the end of the input.
"""

import contextlib
import importlib
from typing import Any, Callable, Optional

from .loop import describe, is_end_of_sequence

_NOT_ERRORS = (GeneratorExit, KeyboardInterrupt, SystemExit)


def _v1(tf: Any) -> Any:
    if tf is None:
        tf = importlib.import_module("tensorflow")
    if hasattr(tf, "train") and hasattr(tf.train, "SessionRunHook"):
        return tf
    return tf.compat.v1


def step_hook(recorder: Any, tf: Any = None, batch: Any = None) -> Any:
    """A ``SessionRunHook`` that records each run as a step.

    Args:
        tf: the TensorFlow module, imported if not given.
        batch: a tensor whose first dimension is the number of rows, or a function that makes it; it is
            fetched together with each run.
    """
    v1 = _v1(tf)

    class StepHook(v1.train.SessionRunHook):  # type: ignore[misc,name-defined]
        """Records steps. A run that raises has no after_run: its step is ended by what comes next."""

        def __init__(self) -> None:
            self._open = False
            self._rows: Any = None

        def begin(self) -> None:
            tensor = batch() if callable(batch) else batch
            if tensor is not None:
                self._rows = v1.shape(tensor)[0]

        def after_create_session(self, session: Any, coord: Any) -> None:
            # With a step open this is a recovery: the session was lost in the middle of a run.
            if self._open:
                recorder.error("session lost: the step's run ended and a new session was made")
                self._fail()

        def before_run(self, run_context: Any) -> Any:
            if self._open:
                self._fail()
            self._open = True
            recorder.step_begin()
            return None if self._rows is None else v1.train.SessionRunArgs(self._rows)

        def after_run(self, run_context: Any, run_values: Any) -> None:
            self._open = False
            recorder.step_end(-1 if run_values.results is None else int(run_values.results))

        def end(self, session: Any) -> None:
            # Only after a regular stop, or after OutOfRangeError or StopIteration out of a run.
            if self._open:
                recorder.end_of_sequence()
                self._fail()

        def _fail(self) -> None:
            self._open = False
            recorder.step_end(failed=True)

    return StepHook()


def save_listener(recorder: Any, tf: Any = None) -> Any:
    """A ``CheckpointSaverListener`` that records saves."""
    v1 = _v1(tf)

    class SaveListener(v1.train.CheckpointSaverListener):  # type: ignore[misc,name-defined]
        """Records what CheckpointSaverHook does."""

        def before_save(self, session: Any, global_step_value: Any) -> None:
            recorder.save_begin()

        def after_save(self, session: Any, global_step_value: Any) -> None:
            recorder.save_end()

    return SaveListener()


class RecordedSession(object):
    """A session, plain or monitored, whose runs are recorded as steps. All else goes to the session itself.

    Args:
        session: what has ``run``.
        rows: how many rows the batch of a run had, from the run's result.
    """

    def __init__(self, session: Any, recorder: Any, rows: Optional[Callable[[Any], int]] = None) -> None:
        self._session = session
        self._recorder = recorder
        self._rows = rows

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """One step. Errors are recorded and raised again."""
        recorder = self._recorder
        recorder.step_begin()
        try:
            result = self._session.run(*args, **kwargs)
        except BaseException as error:
            if is_end_of_sequence(type(error)):
                recorder.end_of_sequence()
            elif not isinstance(error, _NOT_ERRORS):
                recorder.error(describe(error))
            recorder.step_end(failed=True)
            raise
        rows = -1
        if self._rows is not None:
            with contextlib.suppress(Exception):  # Counting rows must not break the job.
                rows = self._rows(result)
        recorder.step_end(rows)
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def __enter__(self) -> "RecordedSession":
        # A plain session's context makes it the default one, a monitored one's gives itself.
        self._session.__enter__()
        return self

    def __exit__(self, *error: Any) -> Any:
        return self._session.__exit__(*error)


def record_run(session: Any, recorder: Any, rows: Optional[Callable[[Any], int]] = None) -> RecordedSession:
    """``session = record_run(session, rec)``: see :class:`RecordedSession`."""
    return RecordedSession(session, recorder, rows)
