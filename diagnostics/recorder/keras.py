"""A Keras callback, and plain loops over ``tf.data`` in TensorFlow 2."""

import importlib
from typing import Any, Dict, Iterable, Iterator, Optional


def callback(recorder: Any, keras: Any = None, rows: int = -1) -> Any:
    """A callback that records ``fit``: epochs, steps, evaluation as a phase, the end of the input.

    Keras does not tell a callback how many rows a batch has, nor that the input ended: a batch that began and
    has no end when its epoch, or the evaluation after it, comes is where the input ended.

    Args:
        keras: the Keras module, ``tf.keras`` if not given.
        rows: of each batch, where they are all alike.
    """
    if keras is None:
        keras = importlib.import_module("tensorflow").keras

    class RecorderCallback(keras.callbacks.Callback):  # type: ignore[misc]
        """Hears what Keras tells."""

        def __init__(self) -> None:
            super().__init__()
            self._open = False
            self._fitting = False

        def on_train_begin(self, logs: Optional[Dict[str, Any]] = None) -> None:
            self._fitting = True
            self._open = False

        def on_train_end(self, logs: Optional[Dict[str, Any]] = None) -> None:
            self._settle()
            self._fitting = False

        def on_epoch_begin(self, epoch: int, logs: Optional[Dict[str, Any]] = None) -> None:
            self._settle()
            recorder.epoch_begin(epoch)

        def on_epoch_end(self, epoch: int, logs: Optional[Dict[str, Any]] = None) -> None:
            self._settle()
            recorder.epoch_end(epoch)

        def on_train_batch_begin(self, batch: int, logs: Optional[Dict[str, Any]] = None) -> None:
            self._open = True
            recorder.step_begin()

        def on_train_batch_end(self, batch: int, logs: Optional[Dict[str, Any]] = None) -> None:
            self._open = False
            recorder.step_end(rows)

        def on_test_begin(self, logs: Optional[Dict[str, Any]] = None) -> None:
            self._settle()
            recorder.phase_begin("evaluation")

        def on_test_batch_end(self, batch: int, logs: Optional[Dict[str, Any]] = None) -> None:
            recorder.tick()

        def on_test_end(self, logs: Optional[Dict[str, Any]] = None) -> None:
            recorder.phase_end("evaluation")

        def on_predict_begin(self, logs: Optional[Dict[str, Any]] = None) -> None:
            recorder.phase_begin("prediction")

        def on_predict_batch_end(self, batch: int, logs: Optional[Dict[str, Any]] = None) -> None:
            recorder.tick()

        def on_predict_end(self, logs: Optional[Dict[str, Any]] = None) -> None:
            recorder.phase_end("prediction")

        def _settle(self) -> None:
            if self._open and self._fitting:
                self._open = False
                recorder.end_of_sequence()
                recorder.step_end(failed=True)

    return RecorderCallback()


def batches(recorder: Any, dataset: Iterable[Any], epoch: Optional[int] = None) -> Iterator[Any]:
    """``for x, y in batches(rec, dataset, epoch):`` in a loop of one's own: steps, rows, the end."""
    return recorder.batches(dataset, epoch)  # type: ignore[no-any-return]
