"""The recorder's hooks in real frameworks: each test is a small job, run by the framework's interpreter."""

import os
import pathlib
import subprocess

import pytest

from diagnostics.recorder import EventKind, Recording, last_batch, open_spans, read

ROOT = pathlib.Path(__file__).resolve().parents[2]

HOOK = """
import sys
import tensorflow as tf
from diagnostics.recorder import Recorder
from diagnostics.recorder.tf1 import save_listener, step_hook
rec = Recorder.from_env()
data = tf.data.Dataset.range(10).batch(4)
with tf.Graph().as_default():
    data = tf.data.Dataset.range(10).batch(4)
    batch = data.make_one_shot_iterator().get_next()
    counter = tf.train.get_or_create_global_step()
    with tf.control_dependencies([batch]):
        train = tf.assign_add(counter, 1)
    saver = tf.train.CheckpointSaverHook(sys.argv[1], save_steps=100, listeners=[save_listener(rec)])
    hooks = [step_hook(rec, batch=batch), saver]
    rec.epoch_begin(0)
    with tf.train.MonitoredTrainingSession(hooks=hooks) as session:
        while not session.should_stop():
            session.run(train)
    rec.epoch_end()
"""

SESSION = """
import tensorflow as tf
from diagnostics.recorder import Recorder
from diagnostics.recorder.tf1 import record_run
rec = Recorder.from_env()
data = tf.data.Dataset.range(10).batch(4)
batch = data.make_one_shot_iterator().get_next()
bad = tf.check_numerics(tf.log(tf.placeholder_with_default(-1.0, [])), "not a number")
with record_run(tf.Session(), rec, rows=len) as session:
    rec.epoch_begin(0)
    try:
        while True:
            session.run(batch)
    except tf.errors.OutOfRangeError:
        rec.epoch_end()
    try:
        session.run(bad)
    except tf.errors.InvalidArgumentError:
        pass
"""

KERAS = """
import numpy as np
import tensorflow as tf
from diagnostics.recorder import Recorder
from diagnostics.recorder.keras import batches, callback
rec = Recorder.from_env()

def rows():
    for value in range(10):
        yield np.float32([value]), np.float32([value])

spec = tf.TensorSpec((1,), tf.float32)
data = tf.data.Dataset.from_generator(rows, output_signature=(spec, spec)).batch(4)
model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(data, epochs=2, validation_data=data, verbose=0, callbacks=[callback(rec)])
for batch in batches(rec, data, epoch=2):
    pass
"""


def run(runtime: str, program: str, tmp_path: pathlib.Path) -> Recording:
    runtimes = pytest.importorskip("repro.runtimes")
    try:
        python = runtimes.ensure(runtime).python
    except Exception as error:
        pytest.skip(f"no runtime {runtime}: {error}")
    path = tmp_path / "worker.lbrec"
    environ = dict(
        os.environ,
        PYTHONPATH=str(ROOT),
        LASTBATCH_RECORDER=str(path),
        LASTBATCH_RANK="worker:0",
        TF_CPP_MIN_LOG_LEVEL="2",
        CUDA_VISIBLE_DEVICES="",
    )
    done = subprocess.run(
        [str(python), "-c", program, str(tmp_path / "model")],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    return read(str(path))


def kinds(recording: Recording, *wanted: EventKind) -> list[EventKind]:
    return [event.kind for event in recording.events if event.kind in wanted]


@pytest.mark.parametrize("runtime", ["tf1.12", "tf1.15"])
def test_session_hook_records_steps_rows_saves_and_the_end_of_the_input(
    runtime: str, tmp_path: pathlib.Path
) -> None:
    # GIVEN a monitored session over 10 rows in batches of 4
    # WHEN it runs until its input is exhausted
    recording = run(runtime, HOOK, tmp_path)

    # THEN every batch is a step, the partial one too, and the run that found the end is a failed step
    ends = [event for event in recording.events if event.kind == EventKind.STEP_END]
    assert [(event.value, event.failed) for event in ends] == [(4, False), (4, False), (2, False), (-1, True)]
    assert recording.totals.sequence_ends == 1
    assert recording.header.runtime.startswith(runtime)
    saves = kinds(recording, EventKind.SAVE_BEGIN, EventKind.SAVE_END)
    assert saves and saves == [EventKind.SAVE_BEGIN, EventKind.SAVE_END] * (len(saves) // 2)
    batch = last_batch(recording)
    assert batch is not None
    assert (batch.epoch, batch.index, batch.rows, batch.end_of_sequence) == (0, 2, 2, True)
    assert open_spans(recording) == ()


@pytest.mark.parametrize("runtime", ["tf1.12", "tf1.15"])
def test_recorded_session_sees_the_end_of_the_input_and_other_errors(
    runtime: str, tmp_path: pathlib.Path
) -> None:
    # GIVEN a plain session loop
    # WHEN its input ends, and a later run fails
    recording = run(runtime, SESSION, tmp_path)

    # THEN the first is an end of the sequence, the second an error with its text
    ends = [event for event in recording.events if event.kind == EventKind.STEP_END]
    rows = [(event.value, event.failed) for event in ends]
    assert rows == [(4, False), (4, False), (2, False), (-1, True), (-1, True)]
    assert recording.totals.sequence_ends == 1
    assert recording.totals.errors == 1
    assert recording.error is not None
    assert recording.error.text.startswith("InvalidArgumentError: not a number")
    assert recording.events[-1].kind == EventKind.EXIT


def test_keras_callback_records_epochs_evaluation_and_the_end_of_the_input(tmp_path: pathlib.Path) -> None:
    # GIVEN fit over an input of unknown length
    # WHEN it makes two epochs with evaluation, and a loop of its own makes a third
    recording = run("tf2", KERAS, tmp_path)

    # THEN evaluation is a phase of its own, and the batch that never came is the end of the sequence
    assert recording.totals.epoch_ends == 3
    assert recording.totals.sequence_ends >= 2
    phases = kinds(recording, EventKind.PHASE_BEGIN, EventKind.PHASE_END)
    assert phases == [EventKind.PHASE_BEGIN, EventKind.PHASE_END] * 2
    assert kinds(recording, EventKind.TICK)
    batch = last_batch(recording)
    assert batch is not None
    assert (batch.epoch, batch.index, batch.rows, batch.end_of_sequence) == (2, 2, 2, True)
    assert open_spans(recording) == ()
