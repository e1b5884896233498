"""The recorder within one process: what is written is what is read, and nothing else is believed."""

import json
import os
import pathlib
import stat
import threading
from collections.abc import Callable, Iterator

import pytest

from diagnostics.recorder import (
    EventKind,
    NullRecorder,
    Recorder,
    Recording,
    env,
    last_batch,
    open_spans,
    read,
    read_header,
    steps,
)
from diagnostics.recorder.__main__ import main
from diagnostics.recorder.loop import rows_of


@pytest.fixture
def path(tmp_path: pathlib.Path) -> str:
    return str(tmp_path / "worker.lbrec")


@pytest.fixture
def rec(path: str) -> Recorder:
    return Recorder(path, "worker:0", "tf1.12.0", capacity=16, expected=["chief:0", "worker:0"])


def kinds(recording: Recording) -> list[str]:
    return [event.kind.name for event in recording.events]


def test_a_new_recording_says_who_records(rec: Recorder, path: str) -> None:
    header = read(path).header
    assert (header.rank, header.runtime, header.pid) == ("worker:0", "tf1.12.0", os.getpid())
    assert header.expected == ("chief:0", "worker:0")
    assert header.interpreter.startswith("cpython 3.")
    assert header.start_ticks > 0 and header.boot_id
    assert read_header(path) == header
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert os.listdir(os.path.dirname(path)) == ["worker.lbrec"]


def test_a_loop_over_batches_is_steps_rows_and_the_end_of_the_input(rec: Recorder, path: str) -> None:
    # GIVEN batches of 3, 3 and 1 rows
    # WHEN a loop goes through them
    for _ in rec.batches([[1, 2, 3], [4, 5, 6], [7]], epoch=4):
        pass

    # THEN each is a step; the end of the input is one too, and failed
    recording = read(path)
    one = ["STEP_BEGIN", "ROWS", "STEP_END"]
    end = ["STEP_BEGIN", "END_OF_SEQUENCE", "STEP_END", "EPOCH_END"]
    assert kinds(recording) == ["EPOCH_BEGIN", *one * 3, *end]
    assert recording.events[-2].failed and recording.events[-2].step == 3
    assert recording.totals == (14, 4, 4, 1, 1, 1, 0)
    batch = last_batch(recording)
    assert batch is not None
    assert (batch.epoch, batch.index, batch.rows, batch.end_of_sequence) == (4, 2, 1, True)
    assert [step.rows for step in steps(recording)] == [3, 3, 1, -1]


def test_a_step_that_waits_for_its_input_is_open_and_has_no_rows(rec: Recorder, path: str) -> None:
    seen = []

    def stuck() -> Iterator[list[int]]:
        yield [1, 2]
        seen.append(read(path))  # What a reader sees while the job waits here.

    for _ in rec.batches(stuck(), epoch=0):
        pass
    spans = open_spans(seen[0])
    assert [(span.kind.name, span.exact) for span in spans] == [("EPOCH_BEGIN", True), ("STEP_BEGIN", True)]
    assert kinds(seen[0])[-1] == "STEP_BEGIN"
    batch = last_batch(seen[0])
    assert batch is not None
    assert (batch.index, batch.rows, batch.end_of_sequence) == (0, 2, False)


def test_totals_and_what_is_open_survive_the_wrap_of_the_ring(rec: Recorder, path: str) -> None:
    # GIVEN an epoch, an evaluation and a step that began long ago
    rec.epoch_begin(3)
    rec.end_of_sequence()
    rec.phase_begin("evaluation")
    rec.step_begin(70)

    # WHEN more happens than the ring holds
    for _ in range(100):
        rec.tick()

    # THEN they are still known, with the time of their begin
    recording = read(path)
    assert len(recording.events) == 16 and set(kinds(recording)) == {"TICK"}
    assert recording.totals[:6] == (104, 1, 0, 1, 0, 1)
    spans = open_spans(recording)
    assert [span.kind.name for span in spans] == ["EPOCH_BEGIN", "PHASE_BEGIN", "STEP_BEGIN"]
    assert all(span.exact for span in spans)
    assert spans[1].label == "evaluation"
    assert spans[2].step == 70 and spans[2].since < recording.events[0].mono


def test_a_second_threads_step_that_left_the_ring_is_open_since_before_its_oldest_event(
    rec: Recorder, path: str
) -> None:
    rec.step_begin()
    rec.step_end()
    thread = threading.Thread(target=rec.step_begin)
    thread.start()
    thread.join()
    for _ in range(100):
        rec.tick()
    recording = read(path)
    (span,) = open_spans(recording)
    assert not span.exact
    assert span.since == recording.events[0].mono


def test_barriers_count_their_entries_so_that_ranks_can_be_compared(rec: Recorder, path: str) -> None:
    for _ in range(3):
        with rec.barrier("gradients"):
            pass
    rec.barrier_begin("gradients")
    (span,) = open_spans(read(path))
    assert (span.label, span.value) == ("gradients", 4)


def test_a_span_ended_by_another_thread_is_closed(rec: Recorder, path: str) -> None:
    rec.save_begin()
    thread = threading.Thread(target=rec.save_end)
    thread.start()
    thread.join()
    assert open_spans(read(path)) == ()


def test_more_open_spans_than_the_table_holds_harm_nothing(path: str) -> None:
    rec = Recorder(path, "worker:0", capacity=1024)
    for _ in range(100):
        rec.phase_begin("deep")
    assert len(open_spans(read(path))) == 100
    for _ in range(100):
        rec.phase_end("deep")
    assert open_spans(read(path)) == ()


def test_more_labels_than_the_table_holds_share_one(path: str) -> None:
    rec = Recorder(path, "worker:0", capacity=1024)
    for index in range(100):
        rec.error(f"Error{index}: text")
    for index in range(100):
        rec.barrier_begin(f"barrier {index}")
    recording = read(path)
    labels = [event.label for event in recording.events]
    assert "Error40" in labels and "Error99" not in labels
    assert "barrier 0" in labels and labels[-1] == "(other)"
    assert recording.damaged == 0


def test_the_last_error_is_kept_and_cut_at_a_characters_border(rec: Recorder, path: str) -> None:
    rec.error("first: one")
    rec.error("second: " + "ä" * 600)
    recording = read(path)
    assert recording.error is not None
    assert recording.error.text == "second: " + "ä" * 508
    assert recording.events[-1].label == "second"
    assert recording.totals.errors == 2


@pytest.mark.parametrize(
    "error, kind",
    [
        (StopIteration(), "END_OF_SEQUENCE"),
        (type("OutOfRangeError", (Exception,), {})(), "END_OF_SEQUENCE"),
        (RuntimeError("no"), "ERROR"),
    ],
)
def test_an_exception_out_of_a_step_is_recorded_and_goes_on(
    rec: Recorder, path: str, error: Exception, kind: str
) -> None:
    with pytest.raises(type(error)), rec.step():
        raise error
    recording = read(path)
    assert kinds(recording) == ["STEP_BEGIN", kind, "STEP_END"]
    assert recording.events[-1].failed


def test_a_step_block_tells_its_rows(rec: Recorder, path: str) -> None:
    with rec.step() as step:
        step.rows(32)
    assert [event.value for event in read(path).events] == [-1, 32, 32]


@pytest.mark.parametrize(
    "misuse",
    [
        lambda rec: rec.step_end("many"),
        lambda rec: rec.step_end(1 << 80),
        lambda rec: rec.step_end(None),
    ],
)
def test_a_number_that_does_not_fit_does_not_lose_the_end_of_a_step(
    rec: Recorder, path: str, misuse: Callable[[Recorder], None]
) -> None:
    rec.step_begin()
    misuse(rec)
    assert open_spans(read(path)) == ()
    assert read(path).events[-1].kind == EventKind.STEP_END


@pytest.mark.parametrize("step", ["x", None, object(), 1 << 80, -5, 3.7, float("nan")])
def test_whatever_a_job_hands_over_the_recorder_does_not_raise(rec: Recorder, path: str, step: object) -> None:
    for name in ("step_begin", "rows", "tick", "epoch_begin", "epoch_end", "error", "exit"):
        getattr(rec, name)(step)
    for name in ("save_begin", "barrier_begin", "phase_begin", "phase_end", "save_end"):
        getattr(rec, name)(step)
        getattr(rec, name)([])
    rec.step_end(step)  # type: ignore[arg-type]
    recording = read(path)
    assert recording.torn == recording.damaged == 0


def test_after_closing_nothing_is_written_and_nothing_raises(rec: Recorder, path: str) -> None:
    rec.step_begin()
    rec.close()
    before = pathlib.Path(path).read_bytes()
    for _ in rec.batches([[1]], epoch=1):
        rec.error("late")
    rec.exit(3)
    rec.close()
    assert pathlib.Path(path).read_bytes() == before
    assert kinds(read(path)) == ["STEP_BEGIN", "CLOSE"]
    assert not rec.alive


def test_threads_lose_no_event(path: str) -> None:
    rec = Recorder(path, "worker:0", capacity=8192)

    def work() -> None:
        for _ in range(200):
            rec.step_begin()
            with rec.barrier("all"):
                rec.tick()
            rec.step_end()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recording = read(path)
    assert (recording.torn, recording.lost, recording.damaged) == (0, 0, 0)
    assert recording.totals[:3] == (4000, 800, 800)
    assert len({event.thread for event in recording.events}) == 4
    assert len(steps(recording)) == 800 and open_spans(recording) == ()


# Opening.


@pytest.mark.parametrize(
    "wrong",
    [{"rank": ""}, {"rank": "w" * 65}, {"rank": "a\nb"}, {"capacity": 0}, {"capacity": 1 << 21}],
)
def test_what_cannot_be_recorded_is_an_error_at_the_start(path: str, wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        Recorder(path, **{"rank": "worker:0", **wrong})  # type: ignore[arg-type]
    assert not os.path.exists(path)


def test_a_full_disk_is_an_error_at_the_start_and_leaves_nothing(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int, offset: int, size: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space"):
        Recorder(path, "worker:0")
    assert os.listdir(os.path.dirname(path)) == []


def test_a_file_system_without_fallocate_gets_zeros(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(fd: int, offset: int, size: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "posix_fallocate", unsupported)
    Recorder(path, "worker:0").step_begin()
    assert len(read(path).events) == 1


def test_thousands_of_expected_ranks_fit(path: str) -> None:
    world = [f"worker:{index}" for index in range(5000)]
    Recorder(path, "worker:0", expected=world)
    assert read(path).header.expected == tuple(world)


TF_CONFIG = json.dumps({"cluster": {"worker": ["a:1", "b:1"], "ps": ["c:1"]}, "task": {"type": "worker", "index": 1}})


@pytest.mark.parametrize(
    "environ, rank, world",
    [
        ({"LASTBATCH_RANK": "ps:2", "TF_CONFIG": TF_CONFIG}, "ps:2", ["ps:0", "worker:0", "worker:1"]),
        ({"TF_CONFIG": TF_CONFIG}, "worker:1", ["ps:0", "worker:0", "worker:1"]),
        ({"JOB_NAME": "chief", "TASK_INDEX": "0"}, "chief:0", []),
        ({"RANK": "1", "WORLD_SIZE": "2"}, "worker:1", ["worker:0", "worker:1"]),
        ({"TF_CONFIG": "{broken", "RANK": "0"}, "worker:0", []),
        ({"TF_CONFIG": '["odd"]'}, f"process:{os.getpid()}", []),
        ({"LASTBATCH_EXPECTED": "a:0, b:0"}, f"process:{os.getpid()}", ["a:0", "b:0"]),
    ],
)
def test_the_environment_tells_rank_and_world(environ: dict[str, str], rank: str, world: list[str]) -> None:
    assert env.rank(environ) == rank
    assert env.expected(environ) == world


def test_without_the_variable_nothing_is_recorded_by_the_same_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LASTBATCH_RECORDER", raising=False)
    rec = Recorder.from_env()
    assert isinstance(rec, NullRecorder) and not rec.enabled
    public = {name for name in dir(Recorder) if not name.startswith("_")}
    assert public - {"from_env"} <= set(dir(NullRecorder))
    with rec.step() as step:
        step.rows(1)
    with rec.phase("x"), rec.barrier("y"), rec.saving(), rec.in_epoch(1):
        assert list(rec.batches([[1], [2]], epoch=0)) == [[1], [2]]


def test_a_directory_gets_a_file_a_process_and_a_second_call_the_same_recorder(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LASTBATCH_RECORDER", str(tmp_path / "new") + "/")
    monkeypatch.setenv("LASTBATCH_RANK", "worker:7")
    rec = Recorder.from_env()
    assert os.path.basename(rec.path) == f"worker-7.{os.getpid()}.lbrec"
    assert Recorder.from_env() is rec
    rec.close()
    assert Recorder.from_env() is not rec


def test_a_recorder_that_cannot_be_made_does_not_stop_the_job(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LASTBATCH_RECORDER", str(tmp_path / "absent" / "file.lbrec"))
    assert not Recorder.from_env().enabled
    assert "no recording" in capsys.readouterr().err


class Shaped:
    def __init__(self, *shape: int) -> None:
        self.shape = shape


@pytest.mark.parametrize(
    "batch, rows",
    [
        (Shaped(8, 3), 8),
        (Shaped(), -1),
        ([Shaped(4, 2), Shaped(4)], 4),
        ({"x": Shaped(5), "y": Shaped(5)}, 5),
        ((({"a": Shaped(6)},), Shaped(6)), 6),
        ([1, 2, 3], 3),
        (["a", "b"], 2),
        (([1, 2], [0, 1]), 2),
        ([], 0),
        ("text", -1),
        (7, -1),
        (None, -1),
    ],
)
def test_rows_of_a_batch(batch: object, rows: int) -> None:
    assert rows_of(batch) == rows


def test_the_command_prints_text_and_json(path: str, capsys: pytest.CaptureFixture[str], rec: Recorder) -> None:
    for _ in rec.batches([[1, 2]] * 9, epoch=0):
        pass
    rec.barrier_begin("end")
    rec.error("Bad\x1b[31m: red")
    assert main([path]) == 0
    text = capsys.readouterr().out
    assert "open: BARRIER_BEGIN end" in text and "\x1b" not in text
    assert main([path, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["header"]["rank"] == "worker:0"
    assert document["last_batch"]["rows"] == 2
    assert main([__file__]) == 1
    assert "not a recording" in capsys.readouterr().err
