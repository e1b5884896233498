"""Loops that only wait, or repeat themselves, told from those that get on."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import msgspec
import pytest

from diagnostics.analyze.beside import undecided
from diagnostics.analyze.job import judge_all
from diagnostics.analyze.loops import standing_loop
from diagnostics.analyze.progress import Limits
from diagnostics.collector.loops import Source
from diagnostics.collector.shell_loops import sleeping_loop
from diagnostics.collector.sources.loops import loop_in
from diagnostics.model import BlockingCall, Collection, Frame, Loop, Process, Sample, State, Thread, ThreadSample
from diagnostics.pipeline import explain
from diagnostics.stacks.position import classify_all

ASKING = {
    "a file that is to appear": "while not os.path.exists(path):  # here\n    pass",
    "the same with sleeps and a word now and then": """
        while True:
            if os.path.isfile(path):  # here
                return load(path)
            tries += 1
            print("waiting", tries)
            time.sleep(min(tries, 30))
        """,
    "a service's answer": """
        while True:
            with urllib.request.urlopen(url) as r:
                if json.load(r)["state"] == "DONE":  # here
                    return
            time.sleep(0.7)
        """,
    "a lock file": """
        while True:
            try:
                self.fd = os.open(self.path, os.O_CREAT | os.O_EXCL)  # here
                return self
            except FileExistsError:
                time.sleep(poll)
        """,
    "two locks, taken politely": """
        while True:
            if a.acquire(False):
                if b.acquire(False):  # here
                    work()
                    break
                a.release()
            time.sleep(0.01)
        """,
}
WORKING = {
    "steps of a simulation": "while not done:\n    obs, done = env.step(3)  # here",
    "training": "while loss > 0.1:\n    loss = model.fit()  # here",
    "work between sleeps": "while queue:\n    tick()  # here\n    time.sleep(0.02)",
    "attempts, each of another part": """
        while True:
            if try_once(part):
                part, failed = part + 1, 0
            self.tried[part] = time.time()  # here
            time.sleep(delay)
        """,
    "counting": "while i < n:\n    i += 1  # here",
    "a service without an end": "while True:\n    time.sleep(60)  # here\n    sweep()",
}


def in_function(body: str) -> tuple[Source, int]:
    text = "def f(path, a, b, n, self, **more):\n" + textwrap.indent(textwrap.dedent(body).strip("\n"), "    ") + "\n"
    line = next(number for number, line in enumerate(text.splitlines(), 1) if "# here" in line)
    return Source(text), line


@pytest.mark.parametrize("body", ASKING.values(), ids=ASKING.keys())
def test_a_loop_that_can_only_wait_is_told_by_its_source(body: str) -> None:
    source, line = in_function(body)
    loop = source.loop_at("f", line)
    assert loop and loop.asks and not loop.until_ended and loop.condition == line


@pytest.mark.parametrize("body", WORKING.values(), ids=WORKING.keys())
def test_a_loop_that_may_work_is_none(body: str) -> None:
    source, line = in_function(body)
    assert source.loop_at("f", line) is None


def test_a_loop_that_computes_is_told_by_what_it_changes() -> None:
    source, line = in_function("x = 3.0\nwhile abs(f(x)) > 0:\n    x = x - f(x) / df(x)  # here")
    loop = source.loop_at("f", line)
    assert loop and not loop.asks and loop.keeps == ("x",) and loop.called == ("df", "f")


FUNCTIONS = """
def residual(x):
    rows = []
    rows.append(x * x)
    rows[0] = rows[0] - 2.0
    return rows[0]

def handle(state):
    queue.put(state)
    return "busy" if state == "idle" else "idle"

def remember(x):
    cache[x] = x
    return x / 2

def counted(x):
    global calls
    calls += 1
    return x / calls
"""


def test_a_function_that_changes_what_is_not_its_own_may_answer_otherwise_the_next_time() -> None:
    source = Source(FUNCTIONS)
    names = ("residual", "handle", "remember", "counted", "of another file")
    assert [source.keeps_state(name) for name in names] == [False, True, True, True, False]


LOOPS = """
def solve(f, x):
    while abs(f(x)) > 0:
        x = f(x)  # given

def improve(x):
    while residual(x) > 0:
        x = residual(x)  # named

def serve(state):
    while state != "done":
        state = handle(state)  # keeps
"""


@pytest.mark.parametrize(
    ("mark", "shown", "endless"),
    [
        ("given", {"f": "<function at 0x7f01>", "x": "3.0"}, True),
        ("named", {"x": "3.0"}, True),
        ("keeps", {"state": '"idle"'}, False),
    ],
)
def test_a_loop_may_be_endless_where_its_calls_keep_nothing(
    mark: str, shown: dict[str, str], endless: bool, tmp_path: Path
) -> None:
    """GIVEN what py-spy tells of a frame: of a function in a variable not which one it is."""
    text = FUNCTIONS + LOOPS
    (tmp_path / "job.py").write_text(text)
    line = next(number for number, line in enumerate(text.splitlines(), 1) if line.endswith(f"# {mark}"))
    function = {"given": "solve", "named": "improve", "keeps": "serve"}[mark]
    told = [{"name": name, "repr": value} for name, value in shown.items()]
    frame = {"filename": str(tmp_path / "job.py"), "name": function, "line": line, "locals": told}
    found = loop_in(os.getpid(), [frame], running=True)
    assert (found is not None and not found.asks) is endless


def test_a_service_that_runs_until_it_is_stopped_is_at_rest() -> None:
    for condition in ("not self.stopping", "not self.stopped.wait(1.0)", "running"):
        source, line = in_function(f"while {condition}:\n    time.sleep(1)  # here")
        loop = source.loop_at("f", line)
        assert loop and loop.until_ended


def test_a_flag_that_somebody_is_to_set_is_waited_for() -> None:
    source, line = in_function("while not self.loaded.wait(0.5):  # here\n    pass")
    loop = source.loop_at("f", line)
    assert loop and loop.asks and not loop.until_ended


def test_the_branch_that_leaves_the_loop_is_no_waiting() -> None:
    source, line = in_function(
        "while True:\n    if ready(path):\n        train()  # here\n        break\n    time.sleep(1)"
    )
    assert source.loop_at("f", line) is None


def looping(
    states: list[list[str]], asks: bool, apart: float = 1.0, burns: bool = True, until: bool = False
) -> Process:
    """A process whose main thread is in a loop at every sample, with these readings."""
    samples = tuple(
        Sample(
            100.0 + apart * n,
            (ThreadSample(7, "python", "R" if burns else "S", apart * n * burns, 5 + 10 * n, 5, last_ran=0.1),),
            loops=(Loop(7, "f", "/job/train.py", 12, asks, until_ended=until, states=tuple(read)),),
        )
        for n, read in enumerate(states)
    )
    inner = [] if burns else [Frame("clock_nanosleep", "libc.so.6", native=True)]
    frames = (Frame("<module>", "/job/train.py", 30), Frame("f", "/job/train.py", 13), *inner)
    return Process("worker:0", 7, "h", threads=(Thread(7, frames=frames),), samples=samples, command=("python",))


def judged(*processes: Process) -> Collection:
    return judge_all(classify_all(Collection(0.0, 1.0, processes)), Limits())


def test_a_computation_that_repeats_itself_hangs_at_once() -> None:
    found = judged(looping([["a", "b", "a"], ["a", "torn", "b"]], asks=False))
    assert found.processes[0].state is State.HUNG and found.processes[0].positions[0].line == 12


def test_a_computation_whose_variables_change_progresses() -> None:
    assert judged(looping([["a", "b", "c"], ["d", "e", "f"]], asks=False)).processes[0].state is State.PROGRESSING


def test_two_readings_that_agree_want_another_sample() -> None:
    found = judged(looping([["a"], ["a"]], asks=False))
    assert found.processes[0].state is State.UNKNOWN and undecided(found, Limits()) is not None


@pytest.mark.parametrize("burns", [True, False])
def test_who_only_asks_hangs_once_it_has_stood_for_long(burns: bool) -> None:
    short = judged(looping([["a"], ["a"]], asks=True, burns=burns))
    assert short.processes[0].state is State.UNKNOWN
    found = judged(looping([["a"], ["a"]], asks=True, apart=25.0, burns=burns)).processes[0]
    assert found.state is State.HUNG and found.positions[0].place == "f (train.py:12)"


def test_who_asks_while_another_works_waits_for_that_one() -> None:
    works = looping([["a", "b", "c"], ["d", "e", "f"]], asks=False, apart=25.0)
    other = msgspec.structs.replace(works, rank="worker:1", pid=8)
    found = judged(looping([["a"], ["a"]], asks=True, apart=25.0), other)
    assert [process.state for process in found.processes] == [State.IDLE, State.PROGRESSING]


def test_a_service_that_waits_to_be_stopped_never_hangs() -> None:
    found = judged(looping([["a"], ["a"]], asks=True, apart=25.0, burns=False, until=True))
    assert found.processes[0].state is State.IDLE


def starved(later: int) -> Process:
    """A main thread that keeps the interpreter lock in an extension, and burns CPU; another thread wants it."""
    inner = (Frame("run", "/job/spin.so", native=True),)
    asks = (
        Frame("take_gil", "libpython3.12.so", native=True),
        Frame("pthread_cond_timedwait", "libc.so.6", native=True),
    )
    feeds, plays = Frame("feed", "/job/env.py", 9), Frame("play", "/job/env.py", 20)
    samples = tuple(
        Sample(
            100.0 + 25.0 * n,
            (ThreadSample(7, "python", "R", 25.0 * n, 5, 5), ThreadSample(8, "feeder", "S", 0.1, 5 + 5000 * n, 5)),
        )
        for n in (0, 1)
    )
    threads = (Thread(7, frames=(plays, *inner), holds_gil=True), Thread(8, frames=(feeds, *asks)))
    now = (Thread(7, frames=(plays,)), Thread(8, frames=(msgspec.structs.replace(feeds, line=9 + later),)))
    return Process("worker:0", 7, "h", threads=threads, later=now, samples=samples, command=("python",))


def test_who_keeps_the_interpreter_lock_in_native_code_does_not_progress_by_its_cpu() -> None:
    assert judged(starved(later=0)).processes[0].state is State.HUNG
    assert judged(starved(later=1)).processes[0].state is State.PROGRESSING, "the other thread got on"


def test_what_others_write_to_a_file_that_it_has_open_is_no_progress() -> None:
    """GIVEN a process that waits, WHEN other processes write to its log, THEN it does not get on by that."""
    lock = (Frame("lock_PyThread_acquire_lock", native=True), Frame("sem_wait", "libc.so.6", native=True))
    threads = (Thread(7, frames=(Frame("train", "/job/train.py", 30), *lock)),)

    def waiting(own: int) -> Process:
        samples = tuple(
            Sample(
                100.0 + n, (ThreadSample(7, "python", "S", 1.0, 5, 5),), log_bytes=20_000 * n, file_offsets=20_000 * n,
                io_bytes=100 + own * n, io_written=50 + own * n,
            )
            for n in (0, 1)
        )  # fmt: skip
        return Process("worker:0", 7, "h", threads=threads, samples=samples)

    assert judged(waiting(own=0)).processes[0].state is State.UNKNOWN
    assert judged(waiting(own=20_000)).processes[0].state is State.PROGRESSING


SCRIPTS = {
    'wait_for_data() {\n  while [ ! -f "$1/_SUCCESS" ]; do sleep 0.5; done\n}': ("wait_for_data", 2, "$1/_SUCCESS"),
    'until (set -o noclobber; echo $$ > "$lock") 2>/dev/null; do\n  sleep 0.2\ndone': ("", 1, "$lock"),
    "while true; do\n  if [ -e /data/ready ]; then break; fi\n  echo waiting  # sleep well\n  sleep 5\ndone": (
        "",
        1,
        "",
    ),
    "while read a; do work $a; sleep 1; done < x": None,
    "while true; do\n  until [ -f /data/ready ]; do sleep 5; done\n  train\ndone": None,
    "while kill -0 $pid; do rsync a b; sleep 60; done": None,
    "while read line; do echo $line; done < x\nsleep 3": None,
}


@pytest.mark.parametrize("text", SCRIPTS)
def test_a_script_that_only_sleeps_and_asks_is_told_by_its_text(text: str) -> None:
    found = sleeping_loop(text)
    assert (found and (found.function, found.line, found.about)) == SCRIPTS[text]
    assert found is None or found.asks


ROUNDS = "i=0\nwhile :; do\n  i=$((i+1)); [ $i = 1 ] && echo begun\n  ls /tmp | wc -l > /dev/null\n  sleep 40\ndone"


@pytest.mark.parametrize(
    "text", [ROUNDS, "while true; do\n  rsync a b\n  sleep 60\ndone", "while true; do sleep 60; done"]
)
def test_a_script_that_never_ends_works_between_its_sleeps(text: str) -> None:
    found = sleeping_loop(text)
    assert found is not None and not found.asks


def _shell(ends_in: float, *loops: Loop, watched: float = 1.0) -> Collection:
    """A shell that waits for a `sleep`."""

    def sampled(tid: int, *loops: Loop) -> tuple[Sample, ...]:
        return tuple(Sample(at, (ThreadSample(tid, "sh", "S", 0.1, 5, 5, last_ran=12 + at),), loops=loops)
                     for at in (1.0, 1.0 + watched))  # fmt: skip

    sleeps, waits = ((Frame(name, "libc.so.6", native=True),) for name in ("clock_nanosleep", "wait4"))
    call = BlockingCall(8, "clock_nanosleep", "time", ends_in=ends_in)
    shell = Process(
        "pid:7", 7, "h", threads=(Thread(7, "sh", waits),), samples=sampled(7, *loops), command=("sh", "night.sh"),
        blocking_calls=(BlockingCall(7, "wait4", "child", "any", others=(8,)),),
    )  # fmt: skip
    child = Process(
        "child/pid:7/8", 8, "h", threads=(Thread(8, "sleep", sleeps),), samples=sampled(8), parent=7,
        command=("sleep", "40"), blocking_calls=(call,),
    )  # fmt: skip
    return Collection(1.0, 2.0, (shell, child))


def test_a_sleep_between_two_rounds_of_a_script_is_well() -> None:
    """GIVEN a script that works, sleeps and works again, THEN its sleep is no hang; of one that asks, or of a sleep
    without an end, that is not said."""
    rounds = Loop(7, "night.sh", "/job/night.sh", 5, asks=False, until_ended=True)
    well, found = explain(_shell(40.0, rounds))
    assert found.hung is False and found.verdict == "none"
    assert "between two rounds of night.sh (night.sh:5)" in well.processes[1].state_why
    asks = Loop(7, "night.sh", "/job/night.sh", 5, asks=True, states=("",))
    for other in (_shell(40.0, asks), _shell(40.0), _shell(-1.0, rounds)):
        assert explain(other)[1].hung is not False


def test_a_script_that_asks_for_long_hangs_as_any_program_that_polls() -> None:
    """GIVEN a shell whose children are but its sleeps, THEN it is no launcher: nobody comes that it asks for."""
    asks = Loop(7, "night.sh", "/job/night.sh", 5, asks=True, about="/data/_SUCCESS", states=("",))
    polls = _shell(5.0, asks, watched=30.0)
    ended = msgspec.structs.replace(polls.processes[1], samples=(), threads=(), running_after=False, exit_status=0)
    for child in (polls.processes[1], ended):
        _, found = explain(msgspec.structs.replace(polls, processes=(polls.processes[0], child)))
        assert found.hung is True and found.verdict == "livelock"
    tool = msgspec.structs.replace(polls.processes[1], command=("python3", "train.py"))
    assert explain(msgspec.structs.replace(polls, processes=(polls.processes[0], tool)))[1].hung is not True


def _computing(*readings: tuple[str, ...]) -> Process:
    """A sample for each, which met the loop within its own calls with these variables."""
    loop = Loop(1, "solve", "newton.py", 15, asks=False)
    samples = [
        Sample(float(at), (), loops=(msgspec.structs.replace(loop, within=one),)) for at, one in enumerate(readings)
    ]
    return Process("pid:1", 1, "a", samples=tuple(samples))


def test_values_that_go_and_come_back_prove_a_loop_endless_also_where_it_was_met_within_its_calls() -> None:
    standing = standing_loop(_computing(("a", "b", "a", "b"), ("a", "a", "b")))
    assert standing and standing.proven


def test_values_that_come_back_beside_data_that_come_in_prove_nothing() -> None:
    """GIVEN a loop that handles one message after the other, and is idle or busy in turns."""
    first, last = _computing(("a", "b", "a", "b"), ("a", "a", "b")).samples
    first, last = (msgspec.structs.replace(one, io_bytes=at, io_written=0) for one, at in ((first, 100), (last, 164)))
    reads = Process("pid:1", 1, "a", samples=(first, last))
    assert standing_loop(reads) is None
    prints = msgspec.structs.replace(last, io_written=64)
    standing = standing_loop(msgspec.structs.replace(reads, samples=(first, prints)))
    assert standing and standing.proven


@pytest.mark.parametrize(
    "readings", [(("a", "a", "a"), ("a", "a")), (("a", "b", "c"), ("d", "e")), (("a", "b"), ("a",))]
)
def test_one_long_round_and_rounds_that_all_differ_prove_nothing(readings: tuple[tuple[str, ...], ...]) -> None:
    assert standing_loop(_computing(*readings)) is None


def test_a_loop_that_only_the_clock_ends_waits_for_nobody() -> None:
    for condition in ("time.monotonic() < until", "time.time() - began < 60"):
        source, line = in_function(f"while {condition}:\n    sum(range(9))\n    time.sleep(0.05)  # here")
        loop = source.loop_at("f", line)
        assert loop and loop.until_time
    for condition in ("not os.path.exists(path)", "time.time() < until and not os.path.exists(path)"):
        source, line = in_function(f"while {condition}:\n    time.sleep(1)  # here")
        loop = source.loop_at("f", line)
        assert loop and not loop.until_time


def test_who_goes_round_until_a_time_gets_on() -> None:
    process = looping([["a"], ["a"]], asks=True)
    timed = [
        msgspec.structs.replace(
            sample, loops=tuple(msgspec.structs.replace(loop, until_time=True) for loop in sample.loops)
        )
        for sample in process.samples
    ]
    process = msgspec.structs.replace(process, samples=tuple(timed))
    (judged,) = judge_all(Collection(0.0, 0.0, (process,)), Limits()).processes
    assert judged.state is State.PROGRESSING and "until a time" in judged.state_why


def test_who_sleeps_between_things_that_change_its_variables_gets_on() -> None:
    """GIVEN `for item in items: time.sleep(...)`, which no rule knows as a wait: an index that changes is work."""
    sleeps = (Frame("evaluate", "/job/train.py", 4), Frame("clock_nanosleep", "libc.so.6", native=True))

    def state(*variables: str, runs: bool = True) -> State:
        looks = tuple(
            Sample(float(at), (ThreadSample(1, "x", "S", 1.0, at * runs, 5, last_ran=0.1),), variables=one)
            for at, one in enumerate(variables)
        )
        process = Process("pid:1", 1, "a", threads=(Thread(1, "x", sleeps),), samples=looks)
        return judge_all(classify_all(Collection(0.0, 0.0, (process,))), Limits()).processes[0].state

    assert state("i=3", "i=5") is State.PROGRESSING
    assert state("i=3", "i=3") is not State.PROGRESSING
    assert state("i=3", "i=5", runs=False) is not State.PROGRESSING, "one reading was torn: it did not run"


def test_a_script_that_asks_has_not_ended_with_its_sleep() -> None:
    """GIVEN a script that polls for a file, WHEN its `sleep` ends while it is looked at, THEN the job has not ended."""
    asks = Loop(7, "night.sh", "/job/night.sh", 5, asks=True, states=("",))
    found = _shell(5.0, asks)
    child = msgspec.structs.replace(found.processes[1], samples=(), threads=(), running_after=False, exit_status=0)
    _, told = explain(msgspec.structs.replace(found, processes=(found.processes[0], child)))
    assert told.hung is not False
    assert "ended" not in told.summary


@pytest.mark.parametrize(
    ("tries", "makes"),
    [
        ("os.open(path, os.O_CREAT | os.O_EXCL)", True),
        ("open(path, 'x')", True),
        ("os.mkdir(path)", True),
        ("os.stat(path)", False),
        ("open(path)", False),
    ],
)
def test_a_lock_that_is_a_name_is_taken_by_making_it(tries: str, makes: bool) -> None:
    text = f"def enter(path):\n    while True:\n        try:\n            {tries}\n            return\n"
    text += "        except OSError:\n            pass\n        time.sleep(0.5)\n"
    loop = Source(text).loop_at("enter", 8)
    assert loop is not None and loop.makes is makes


def test_a_spin_on_a_property_that_is_a_lambda_only_asks() -> None:
    text = "class Ring:\n    head = property(lambda s: struct.unpack_from('q', s.buf, 0)[0])\n"
    text += "    def pop(self):\n        while self.head == self.tail:\n            pass\n"
    assert Source(text).is_pure("<lambda>") and Source(text).is_pure("Ring.<lambda>")
    assert not Source(text.replace("struct.unpack_from('q', s.buf, 0)[0]", "s.take()")).is_pure("<lambda>")
    loop = Source(text).loop_at("pop", 4)
    assert loop is not None and loop.asks
