"""A trace's events become a verdict: proven, refuted or not seen."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from diagnostics.collector.memory.elf import Function
from diagnostics.errors import MissingError, UsageError
from diagnostics.frameworks.tensorflow1 import bpftrace, session, sets
from diagnostics.frameworks.tensorflow1.bpftrace import Place
from diagnostics.frameworks.tensorflow1.events import KEYS, decode
from diagnostics.frameworks.tensorflow1.judge import judge_receives
from diagnostics.frameworks.tensorflow1.library import open_library
from diagnostics.frameworks.tensorflow1.probes import Event, Probe, Scope
from diagnostics.frameworks.tensorflow1.receives import SLOTS, rank_of
from diagnostics.frameworks.tensorflow1.sequence import draw_sequence
from diagnostics.model.trace import Count, TraceResult, TraceVerdict

WORKER, SERVER, OTHER = 100, 201, 202
RANKS = {WORKER: "worker:0", SERVER: "ps:0", OTHER: "ps:1"}
STEP, OWNER, CALL = 0x51EB, 0xA000, 0xC000
RECEIVER, ABORTER = 11, 12
DEVICE = "/job:ps/replica:0/task:1"

PROBES = sets.find("all-receives").probes


def us(microseconds: float) -> int:
    return int(1_000_000_000 + microseconds * 1000)


def line(letter: str, at: float, pid: int, tid: int, *numbers: int, text: str = "") -> str:
    return " ".join([letter, *(f"{number:x}" for number in (us(at), pid, tid, *numbers)), *([text] if text else [])])


def register(at: float, call: int = CALL) -> str:
    return line("R", at, WORKER, RECEIVER, OWNER, call, STEP)


def start(at: float, call: int = CALL) -> str:
    return line("T", at, WORKER, RECEIVER, call)


def cancel(at: float, tid: int, callback: bool, call: int = CALL) -> str:
    return line("A", at, WORKER, tid, call, 0x7F00 if callback else 0, text=DEVICE)


def come_back(at: float, call: int = CALL) -> str:
    return line("D", at, WORKER, 13, call)


ABORT = line("B", 0, WORKER, ABORTER, OWNER, STEP, 11)
RUN_ELSEWHERE = [
    line("E", -500, WORKER, 14, STEP),
    line("E", -400, SERVER, 15, STEP),
    line("E", -9000, OTHER, 16, 0x51EA),
]
WINDOW_A = [ABORT, register(9), cancel(12, RECEIVER, False), start(14)]
WINDOW_B = [register(-3), ABORT, cancel(1, ABORTER, False), start(4)]
PEER_RAN = line("E", -300, OTHER, 16, STEP)


def judged(*lines: str, seconds: float = 30) -> TraceResult:
    scope = Scope(RANKS, us(-1_000_000), us(seconds * 1e6))
    return judge_receives(decode(lines, PROBES), scope)


def test_a_receive_that_was_registered_after_the_abort_and_never_came_back_is_the_proof() -> None:
    result = judged(*RUN_ELSEWHERE, *WINDOW_A)

    assert result.verdict is TraceVerdict.PROVEN
    (escaped,) = result.escaped
    assert (escaped.window, escaped.peer, escaped.thread, escaped.aborted_by) == ("A", "ps:1", RECEIVER, ABORTER)
    assert escaped.distance == pytest.approx(12) and not escaped.came_back
    assert escaped.peer_ran is False
    assert result.ran == ("ps:0", "worker:0") and result.did_not_run == ("ps:1",)


def test_a_receive_that_was_cancelled_before_it_had_a_callback_is_the_other_window() -> None:
    result = judged(*RUN_ELSEWHERE, *WINDOW_B)

    assert result.verdict is TraceVerdict.PROVEN
    assert [(call.window, call.aborted_by) for call in result.escaped] == [("B", ABORTER)]
    assert result.escaped[0].distance == pytest.approx(4)


def remembered(line: str, key: int) -> str:
    """The line of an event as the kernel tells of the last one, which bpftrace prints in decimal and with a sign."""
    letter, *words = line.split()
    at, pid, tid, *numbers = (int(word, 16) for word in words)
    values = ", ".join(str(number - (1 << 64) if number >> 63 else number) for number in (at, tid, *numbers))
    return f"@{letter}[{pid}, {key}]: ({values})"


def send(at: float, state: int = 0xF000) -> str:
    return line("T", at, WORKER, RECEIVER, state)


def seen_open(sent: float | None, code: int = 11) -> Event:
    numbers = {"call": CALL, "code": code, "step": STEP, "owner": OWNER, "sent": us(sent) if sent is not None else 0}
    return Event(us(9e6), "open", WORKER, RECEIVER if sent is not None else 0, numbers, "ps:1")


def judged_at_the_end(*lines: str, still_open: Sequence[Event]) -> TraceResult:
    """As the set `rendezvous` does: most of the calls come from what the kernel remembers, and a look at them."""
    decoded = decode(lines, sets.find("rendezvous").probes)
    decoded = decoded._replace(events=(*decoded.events, *still_open))
    return judge_receives(decoded, Scope(RANKS, us(-1e6), us(30e6)))


def last(window: Sequence[str]) -> list[str]:
    """The same without the registration and the start, which are not probed, but gRPC, which is handed it later."""
    slot = {letter: lambda line: f"{line} {int(line.split()[4], 16) % SLOTS:x}" for letter in "ET"}
    lines = [*(line for line in window if line[0] not in "RT"), send(20)]
    return [remembered(slot.get(line[0], str)(line), CALL) for line in lines]


@pytest.mark.parametrize(("window", "letter"), [(WINDOW_A, "A"), (WINDOW_B, "B")])
def test_what_the_kernel_remembers_proves_the_same(window: list[str], letter: str) -> None:
    lines = [line.removesuffix(f" {DEVICE}") for line in window]
    result = judged_at_the_end(*last([*RUN_ELSEWHERE, *lines]), "@Tn: 40", still_open=[seen_open(20)])

    assert result.verdict is TraceVerdict.PROVEN, result.why
    (escaped,) = result.escaped
    assert (escaped.window, escaped.peer, escaped.thread, escaped.aborted_by) == (letter, "ps:1", RECEIVER, ABORTER)
    assert escaped.peer_ran is False and result.did_not_run == ("ps:1",)
    assert Count("send", 40) in result.counts
    assert result.sequence[-1].what.startswith("sends it all the same")
    assert 'class="sent"' in draw_sequence(result)


@pytest.mark.parametrize(("window", "letter", "thread"), [(WINDOW_A, "A", RECEIVER), (WINDOW_B, "B", 0)])
def test_where_another_rpc_has_taken_the_senders_place_the_window_is_known_still(
    window: list[str], letter: str, thread: int
) -> None:
    lines = [line.removesuffix(f" {DEVICE}") for line in window]
    result = judged_at_the_end(*last([*RUN_ELSEWHERE, *lines]), still_open=[seen_open(None)])

    assert [(call.window, call.thread) for call in result.escaped] == [(letter, thread)]


def test_a_call_that_is_not_open_at_the_end_did_not_escape() -> None:
    lines = [line.removesuffix(f" {DEVICE}") for line in WINDOW_A]
    assert judged_at_the_end(*RUN_ELSEWHERE, *last(lines), still_open=[]).verdict is TraceVerdict.REFUTED


def test_a_call_that_is_open_and_was_never_cancelled_in_vain_refutes_the_race() -> None:
    result = judged_at_the_end(remembered(f"{send(0)} 0", CALL), still_open=[seen_open(0, code=0)])

    assert result.verdict is TraceVerdict.REFUTED and "1 receives open to ps:1" in result.why


def test_a_cancellation_of_the_object_before_it_was_used_again_is_not_this_receives() -> None:
    lines = [
        remembered(cancel(-900, RECEIVER, False).removesuffix(f" {DEVICE}"), CALL),
        remembered(f"{send(0)} 0", CALL),
    ]
    assert judged_at_the_end(*lines, still_open=[seen_open(0, code=0)]).verdict is TraceVerdict.REFUTED


def test_whether_a_server_ran_the_step_is_not_known_where_another_step_has_taken_its_place() -> None:
    lines = [text.removesuffix(f" {DEVICE}") for text in WINDOW_A]
    later = line("E", 800, OTHER, 16, STEP + SLOTS)
    result = judged_at_the_end(*last([*RUN_ELSEWHERE, *lines, later]), still_open=[seen_open(20)])

    assert result.verdict is TraceVerdict.PROVEN
    assert result.why.endswith("whether ps:1, which it asks, ran the step was not traced")
    assert result.escaped[0].peer_ran is None and result.did_not_run == ()


def test_a_table_that_is_full_has_lost_something() -> None:
    lines = (remembered(f"{send(0)} {number:x}", number) for number in range(KEYS))
    assert decode(lines, sets.find("rendezvous").probes).lost == 1


def test_numbers_that_bpftrace_prints_with_a_sign_are_read_without() -> None:
    big = (1 << 64) - 3
    (event,) = decode([remembered(line("B", 0, WORKER, 1, OWNER, big, 11), CALL)], sets.find("rendezvous").probes)[0]
    assert event.numbers == {"owner": OWNER, "step": big, "code": 11} and event.at == us(0)


def test_a_registration_that_waited_for_the_lock_is_still_after_the_abort() -> None:
    result = judged(*RUN_ELSEWHERE, register(-100), ABORT, cancel(12, RECEIVER, False), start(14))

    assert result.escaped[0].window == "A" and result.escaped[0].distance == pytest.approx(12)


def test_the_order_is_the_clocks_and_not_that_of_the_processors_buffers() -> None:
    lines = [*RUN_ELSEWHERE, *WINDOW_B]
    assert judged(*reversed(lines)) == judged(*lines)


def test_an_escape_that_came_back_does_no_harm() -> None:
    result = judged(*WINDOW_A, come_back(3000))

    assert result.verdict is TraceVerdict.REFUTED
    assert result.escaped_total == (Count("A", 1),) and result.escaped[0].came_back


def test_a_receive_that_was_refused_before_it_was_sent_is_not_open() -> None:
    """So do 1.13 and later: the status is looked at after registration, and nothing is sent."""
    result = judged(ABORT, register(9), cancel(12, RECEIVER, False))

    assert result.verdict is TraceVerdict.REFUTED and not result.escaped_total


def test_a_job_that_waits_for_a_live_step_refutes_the_race() -> None:
    result = judged(register(0), start(3), register(5, CALL + 0x1000), start(8, CALL + 0x1000), come_back(90))

    assert result.verdict is TraceVerdict.REFUTED and "1 receives open" in result.why


def test_a_job_that_goes_on_shows_nothing_yet() -> None:
    result = judged(*RUN_ELSEWHERE, *WINDOW_A, register(29.9e6, CALL + 0x1000), seconds=0.5)

    assert result.verdict is TraceVerdict.NOT_SEEN


def test_an_open_escape_in_a_job_that_goes_on_is_no_proof() -> None:
    result = judged(*RUN_ELSEWHERE, *WINDOW_A, register(29.9e6, CALL + 0x1000))

    assert result.verdict is TraceVerdict.NOT_SEEN and "1 that escaped" in result.why


def test_an_open_escape_whose_server_ran_the_step_is_no_proof() -> None:
    assert judged(*RUN_ELSEWHERE, PEER_RAN, *WINDOW_A).verdict is TraceVerdict.NOT_SEEN


def test_a_call_whose_rpc_was_over_when_it_was_cancelled_did_not_escape() -> None:
    assert not judged(register(-9), start(-6), ABORT, cancel(1, ABORTER, False), come_back(3)).escaped_total


def test_without_a_single_receive_nothing_is_claimed() -> None:
    assert judged(*RUN_ELSEWHERE).verdict is TraceVerdict.NOT_SEEN


def test_lost_events_take_the_proof_away_because_the_return_may_be_among_them() -> None:
    result = judged(*RUN_ELSEWHERE, *WINDOW_A, "Lost 12 events")

    assert result.verdict is TraceVerdict.NOT_SEEN and result.lost == 12


def test_a_call_object_that_is_used_again_is_another_receive() -> None:
    result = judged(register(-900), start(-897), come_back(-700), *RUN_ELSEWHERE, *WINDOW_A)

    assert result.verdict is TraceVerdict.PROVEN
    assert [tally.registered for tally in result.tallies] == [2]
    assert result.tallies[0].open == 1


def test_an_abort_just_after_the_start_is_a_near_miss() -> None:
    result = judged(register(-8), start(-5), ABORT, cancel(1, ABORTER, True), come_back(50))

    assert [miss.microseconds for miss in result.near_misses] == [pytest.approx(6)]


def test_lines_that_cannot_be_read_are_counted() -> None:
    assert judged("R zz 1 2 3 4 5", "T 1 2", *WINDOW_A).unreadable == 2


@pytest.mark.parametrize(
    ("device", "rank"),
    [(DEVICE, "ps:1"), ("/job:worker/replica:0/task:12/device:CPU:0", "worker:12"), ("", ""), ("x", "")],
)
def test_devices_name_ranks(device: str, rank: str) -> None:
    assert rank_of(device) == rank


def test_the_drawing_shows_both_threads_and_the_server_that_never_ran_the_step() -> None:
    drawing = draw_sequence(judged(*RUN_ELSEWHERE, *WINDOW_A))

    assert f"thread {RECEIVER}" in drawing and f"thread {ABORTER}" in drawing
    assert "never ran the step" in drawing and 'class="sent"' in drawing


def test_a_rank_cannot_put_markup_into_the_drawing() -> None:
    scope = Scope({**RANKS, WORKER: "<script>"}, us(-1e6), us(30e6))
    drawing = draw_sequence(judge_receives(decode([*RUN_ELSEWHERE, *WINDOW_A], PROBES), scope))

    assert "<script>" not in drawing and "&lt;script&gt;" in drawing


def test_processes_that_were_not_named_say_nothing() -> None:
    places = [Place(PROBES[0], Function(PROBES[0].symbol, 0x1234, 0x1234, 10))]
    program = bpftrace.script(Path("/lib/x.so"), places, [7, 8], {})

    assert 'uprobe:"/lib/x.so":0x1234 /pid == 7 || pid == 8/' in program


def test_a_probe_with_a_condition_tells_only_of_the_processes_that_were_named() -> None:
    probe = Probe("cancel", "A", "f", {"call": "arg0"}, when="!*(uint64 *)(arg0 + {callback})", remember=("call",))
    program = bpftrace.script(Path("/x.so"), [Place(probe, Function("f", 1, 1, 1))], [7, 8], {"callback": 80})

    assert "/(pid == 7 || pid == 8) && !*(uint64 *)(arg0 + 80)/" in program
    assert "@A[pid, (uint64)(arg0)] = (nsecs, tid, (uint64)(arg0));" in program and "printf" not in program[30:]


def test_the_first_call_of_each_step_is_kept_and_no_later_one() -> None:
    probe = Probe("abort", "B", "f", {"owner": "arg0", "step": "arg1"}, remember=("owner",), first_of="step")
    program = bpftrace.script(Path("/x.so"), [Place(probe, Function("f", 1, 1, 1))], [7], {})

    assert "if (@B_[pid, (uint64)(arg0)] != (uint64)(arg1)) { @B_[pid, (uint64)(arg0)] = (uint64)(arg1); @B[" in program


def test_an_unknown_probe_set_names_those_there_are() -> None:
    with pytest.raises(UsageError, match="rendezvous"):
        sets.find("nothing")


def compiled(directory: Path, *strip: str) -> Path:
    """A library with an exported and a local function."""
    if not shutil.which("gcc"):
        pytest.skip("gcc is not installed")
    source, library = directory / "x.c", directory / "_pywrap_tensorflow_internal.so"
    hidden = "static __attribute__((noinline)) int local(int x) { return x + 1; }"
    source.write_text(f"{hidden}\nint shown(int x) {{ return local(x); }}\n")
    subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-o", library, source], check=True)
    if strip:
        subprocess.run(["strip", *strip, library], check=True)
    return library


def test_functions_are_found_by_the_tables(tmp_path: Path) -> None:
    library = open_library(compiled(tmp_path))
    found = library.find(["shown", "local", "absent"])

    assert set(found) == {"shown", "local"}
    shown, data = found["shown"], Path(library.path).read_bytes()
    assert library.code(shown) == data[shown.offset :][: shown.size]


def test_what_was_stripped_leaves_the_exported_ones(tmp_path: Path) -> None:
    assert set(open_library(compiled(tmp_path, "--strip-all")).find(["shown", "local"])) == {"shown"}


def test_a_library_without_the_functions_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"does not name .*RpcRecvTensorCall::StartAbort.*stripped"):
        session.plan(sets.find("rendezvous"), compiled(tmp_path))


def test_a_file_that_is_no_library_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "x.so"
    text.write_text("no")
    with pytest.raises(MissingError, match="not an ELF"):
        open_library(text)


def steps_of(*lines: str) -> TraceResult:
    probe_set = sets.find("steps")
    return probe_set.judge(decode(lines, probe_set.probes), Scope(RANKS, us(-1e6), us(30e6)))


def test_the_set_of_steps_names_ranks_that_never_began_the_step_that_is_open() -> None:
    before = [line("E", -900, pid, 1, 1) for pid in RANKS] + [line("C", -500, pid, 1, 1) for pid in RANKS]
    result = steps_of(*before, line("E", 0, WORKER, 1, 2), line("E", 5, SERVER, 1, 2), line("C", 9, SERVER, 1, 2))

    assert result.verdict is TraceVerdict.PROVEN
    assert result.why == "step 2 is open on worker:0; ps:1 never began it" and result.did_not_run == ("ps:1",)


def test_the_set_of_steps_finds_nothing_where_all_have_ended() -> None:
    assert steps_of(line("E", 0, WORKER, 1, 2), line("C", 9, WORKER, 1, 2)).verdict is TraceVerdict.REFUTED
    assert steps_of().verdict is TraceVerdict.NOT_SEEN
