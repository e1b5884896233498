"""What the tools print becomes threads; Python's and native frames become one stack."""

from __future__ import annotations

from diagnostics.model import Frame
from diagnostics.stacks.merge import merge
from diagnostics.stacks.tools import eustack, gdb

GDB = """\
[New LWP 4712]
Thread 2 (Thread 0x7f2d976146c0 (LWP 4712) "loader"):
#0  0x00007f2d98eed545 in __GI___clock_nanosleep (clock_id=clock_id@entry=1, rem=...) at ../sysdeps/clock_nanosleep.c:48
#1  0x00007f2d99315ada in tensorflow::(anonymous namespace)::Pool::Wait(long) (this=...) from /lib/libtf.so
#2  0x00007f2d98f278ec in clone3 () at ../clone3.S:81

Thread 1 (LWP 4711):
#0  main () at stuck.c:9
"""

EU_STACK = """\
PID 4711 - process
TID 4711:
#0  0x00007f2d98ea3f16 __futex_abstimed_wait_common - /usr/lib/x86_64-linux-gnu/libc.so.6
#1  0x000000000040116b - 1 main - /tmp/stuck
TID 4712:
#0  0x00007f2d98ea3f16 - /usr/lib/libx.so
"""


def test_gdb() -> None:
    first, second = gdb.parse(GDB)
    assert (first.tid, [frame.function for frame in first.frames]) == (4711, ["main"])
    assert (second.tid, second.name) == (4712, "loader")
    assert [frame.function for frame in second.frames] == [
        "clone3", "tensorflow::(anonymous namespace)::Pool::Wait", "__GI___clock_nanosleep",
    ]  # fmt: skip
    assert second.frames[1].file == "/lib/libtf.so" and second.frames[2].line == 48


def test_eu_stack() -> None:
    first, second = eustack.parse(EU_STACK)
    assert [(frame.function, frame.file) for frame in first.frames] == [
        ("main", "/tmp/stuck"), ("__futex_abstimed_wait_common", "/usr/lib/x86_64-linux-gnu/libc.so.6"),
    ]  # fmt: skip
    assert [frame.function for frame in second.frames] == ["???"]


def native(function: str, file: str = "libpython3.11.so.1.0") -> Frame:
    return Frame(function, file, native=True)


EVAL = native("_PyEval_EvalFrameDefault")
OUTER, INNER = native("_start", "a.out"), native("poll", "libc.so.6")
RUN, CALL = Frame("run", "a.py", 1), Frame("call", "a.py", 2)


def test_python_frames_take_the_place_of_the_interpreters_loop() -> None:
    foreign = native("Session::Run", "libtf.so")
    assert merge([RUN, CALL], [OUTER, EVAL, foreign, EVAL, INNER]) == (OUTER, RUN, foreign, CALL, INNER)


def test_one_loop_may_run_several_python_frames() -> None:
    """GIVEN CPython 3.11, where calls from Python to Python stay in one loop, THEN nothing is lost."""
    assert merge([RUN, CALL, RUN], [OUTER, EVAL, native("slot_tp_call"), EVAL, INNER]) == (OUTER, RUN, CALL, RUN, INNER)


def test_an_order_that_is_not_known_is_not_made_up() -> None:
    foreign = native("Session::Run", "libtf.so")
    merged = merge([RUN, CALL, RUN], [OUTER, EVAL, foreign, EVAL, INNER])
    assert merged == (RUN, CALL, RUN, OUTER, foreign, INNER)


def test_threads_without_python_keep_their_native_frames() -> None:
    assert merge([], [OUTER, INNER]) == (OUTER, INNER)
