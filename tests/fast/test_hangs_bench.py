"""The benchmark of hangs: every tool answers in one form, is read fairly, and is scored alike."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest

from diagnostics.model import Frame, Thread

sys.path.append(str(Path(__file__).parents[2] / "bench"))  # at the end: some benches are called as modules of Python

import dumps
import hangs
import replay
from hang_tools import TOOLS, chosen, flight, others, person
from hang_tools.form import Answer, Dumps

JOB = hangs.Known("job", frozenset({"input-stall"}), True, ((frozenset({12, "1"}), ("fetch",)),))
WELL = hangs.Known("well", frozenset({"none"}), False)


def thread(*functions: str, tid: int = 1) -> Thread:
    """Functions of the user's, but for those that are written with a library's file: `all_reduce@/lib/python3/x.py`."""
    parts = [text.partition("@") for text in functions]
    return Thread(tid, frames=tuple(Frame(name, file or "/home/me/train.py", 7) for name, _, file in parts))


TORCH = "/venv/site-packages/torch/distributed/distributed_c10d.py"
SOCKET = "/usr/lib/python3.11/socket.py"
REDUCES = (thread("main", f"all_reduce@{TORCH}"),)
FETCHES = (thread("main", "fetch", f"recv_into@{SOCKET}"),)


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        (Answer(hung=True, family="input-stall", culprit=(12,), function="Loader.fetch"), ("seen", *["right"] * 3)),
        (Answer(hung=True, culprit=(11, "1")), ("seen", "none", "among", "none")),
        (Answer(family="lock-order", culprit=(11,), function="fetch"), ("undecided", "wrong", "wrong", "wrong")),
        (Answer(hung=False, abstained=True), ("missed", "none", "none", "none")),
    ],
)
def test_an_answer_is_scored_by_the_truth(answer: Answer, score: tuple[str, ...]) -> None:
    assert msgspec.structs.astuple(hangs.scored(JOB, answer)) == score


def test_of_a_healthy_job_only_a_false_alarm_and_a_name_count() -> None:
    assert hangs.scored(WELL, Answer(hung=False)) == hangs.Score("calm", "none", "-", "-")
    assert hangs.scored(WELL, Answer(hung=True, family="frozen")) == hangs.Score("FALSE", "wrong", "-", "-")


def test_a_person_names_the_rank_that_is_not_in_the_collective_and_its_own_function() -> None:
    stacks = {11: REDUCES, 12: FETCHES, 13: REDUCES}
    answer = person.read(stacks, stacks, {})
    assert (answer.hung, answer.culprit, answer.function, answer.family) == (True, (12,), "fetch", "input-stall")
    assert person.read(stacks, {**stacks, 12: REDUCES}, {}).hung is False
    assert person.read({11: REDUCES, 12: REDUCES}, None, {}).culprit == ()


def test_a_launcher_is_no_rank() -> None:
    waits = (thread("run", "waitpid@/usr/lib/python3.11/subprocess.py"),)
    stacks = {10: waits, 11: REDUCES, 12: FETCHES, 13: FETCHES}
    assert person.read(stacks, None, {11: 10, 12: 10, 13: 10, 10: 1}, by_words=False).culprit == (11,)


def test_two_threads_at_locks_look_like_a_deadlock() -> None:
    alone = {11: (thread("main", "acquire"), thread("work", "acquire", tid=2))}
    assert person.read(alone, alone, {}).family == "lock-order"


MISSING = "Not all ranks joining collective, sequence number: 3\ncollective: gloo:all_reduce\nmissing ranks: {1}\n"
DIFFERS = "error msg: Culprit rank 2; Error type: COLLECTIVE_TYPE_MISMATCH, Expected broadcast\n"


def test_what_torchfrtrace_writes_is_read() -> None:
    pids = {0: 20, 1: 21, 2: 22}
    assert flight.answer_of(MISSING, pids) == Answer(hung=True, family="rank-elsewhere", culprit=(21,))
    assert flight.answer_of(DIFFERS, pids) == Answer(hung=True, family="collective-mismatch", culprit=(22,))
    assert flight.answer_of("KeyError: ('0', 2)\n", pids).abstained


def test_anybody_enters_with_a_command_that_prints_the_form() -> None:
    """WHEN a tool is named as NAME=COMMAND, THEN its last line is its answer, and any other output none."""
    assert [tool.name for tool in chosen(["mine=/usr/bin/mine --answer", "gdb"])] == ["mine", "gdb"]
    assert others.last_line(b'hello\n{"hung": true, "culprit": [11]}\n') == Answer(hung=True, culprit=(11,))
    assert others.last_line(b"it hangs\n").abstained
    assert others.last_line(b"").abstained
    with pytest.raises(KeyError):
        chosen(["no such tool"])


def test_lastbatch_is_read_from_its_json() -> None:
    said = {
        "verdict": "unknown", "hung": True,
        "culprits": [{"pid": 12, "rank": "1", "position": {"function": "fetch"}}, {"pid": 0, "rank": "3"}],
    }  # fmt: skip
    assert others.answer_of(said) == Answer(hung=True, culprit=(12, "3"), function="fetch")


def test_a_report_of_others_is_read_by_the_tool_that_wrote_it_and_by_no_other() -> None:
    files = Dumps((dumps.HOME / "gdb-lock-cycle" / "rank0.txt",))
    tools = {tool.name: tool for tool in TOOLS}
    for name in ("gdb", "pystack"):
        offline = tools[name].offline
        assert offline
        assert offline(files).abstained == (name != "gdb")


def test_the_log_holds_what_the_table_counts(tmp_path: Path) -> None:
    answer = Answer("job", "py-spy", True, "input-stall", (12,), "fetch", 3.0, 0.02)
    row = hangs.Row(answer, hangs.scored(JOB, answer), ("input-stall",))
    log = tmp_path / "hangs.jsonl"
    log.write_bytes(msgspec.json.encode(row) + b"\n")
    assert hangs.read(log) == [row]
    assert "| py-spy | 1 | 1 of 1 | 0 of 0 | 1 of 1 |" in hangs.table(hangs.read(log))


def test_what_is_in_the_log_is_not_run_again() -> None:
    entry = hangs.entries(["jobs"], ["flock-held"])
    assert [one.name for one in entry] == ["flock-held"]
    tools = chosen(["py-spy", "gdb"])
    answer = Answer("flock-held", "gdb")
    had = {("flock-held", "gdb"): hangs.Row(answer, hangs.scored(JOB, answer), ())}
    assert [tool.name for tool in hangs.missing(entry[0], tools, had)] == ["py-spy"]


def test_a_replay_is_the_same_differs_or_is_left_out() -> None:
    """WHEN the command says why it cannot play a job, THEN only a reason that lies in the job leaves it out."""
    job = {"family": "sync-starvation"}
    same = {
        "job": job, "replayed": job, "same": True, "differences": [], "ranks": 3, "scenario": "sync-starved",
        "arm": "uneven",
    }  # fmt: skip
    differs = {**same, "same": False, "differences": ["it did not hang"], "groups": 1, "calls": 2}
    left_out = {"error": "no cause of this hang is named, so no scenario can be chosen"}
    failed = {"error": "rank 1 of the program ended"}
    played = [replay.Played(said, 0, 1.0) for said in (same, differs, left_out, failed)]
    assert replay.summary(played) == "1 of 3 hang as the job did; 1 left out"
    assert "sync-starved/uneven" in replay.line("a", played[0]) and replay.line("a", played[0]).endswith("the same")
    assert replay.line("b", played[1]).endswith("it did not hang")
    assert replay.line("c", played[3]).endswith("rank 1 of the program ended")
