"""Runs inside gdb: hold one thread of the worker at a function, and say what happens meanwhile.

Told by LASTBATCH_INTERLEAVE (JSON): `pid` of the worker; addresses of the functions `step`, `hold` and `part`; the
processes of servers to `freeze` when step number `failing` begins, and the number of the one that stays `live`;
the `register` of the argument that leads to the call object, and its distance `call` from that. Says one JSON line a
message on standard output. All other threads run on.
"""

import contextlib
import json
import os
import signal
from pathlib import Path

import gdb

PLAN = json.loads(os.environ["LASTBATCH_INTERLEAVE"])
TASK_DIGIT = len("/job:ps/replica:0/task:")
STATE = {"steps": 0, "armed": False, "held": False}


def say(**message):
    print("\n" + json.dumps(message), flush=True)


def memory(address, size):
    return bytes(gdb.selected_inferior().read_memory(address, size))


def register(name):
    return int(gdb.selected_frame().read_register(name)) & (2**64 - 1)


def state_of(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


class StepBegins(gdb.Breakpoint):
    """The client's thread is about to hand a step to the master: no step is under way."""

    def stop(self):
        STATE["steps"] += 1
        if STATE["steps"] == PLAN["failing"]:
            for pid in PLAN["freeze"]:
                os.kill(pid, signal.SIGSTOP)
            for pid in PLAN["freeze"]:
                while state_of(pid) != "T":
                    pass
            STATE["armed"] = True
            say(frozen=PLAN["freeze"])
        return False


class Hold(gdb.Breakpoint):
    """A receive from a frozen server is about to pass: stop its thread, and only that."""

    def stop(self):
        if not STATE["armed"] or STATE["held"]:
            return False
        call = register(PLAN["register"]) - PLAN["call"]
        name = int.from_bytes(memory(call + 8, 8), "little")
        text = memory(name, TASK_DIGIT + 1).decode()
        if not text.startswith("/job:ps/") or text[TASK_DIGIT:] == PLAN["live"]:
            return False
        STATE["held"] = True
        thread, server = gdb.selected_thread(), "ps:" + text[TASK_DIGIT:]
        say(held=thread.num, tid=thread.ptid[1], call=call, server=server, owner=register("rdi"))
        return True


class PartEnds(gdb.Breakpoint):
    """The master hears that a server's part of the step is over."""

    def stop(self):
        if STATE["armed"]:
            say(part=register("rsi") & 0xFFFFFFFF)
        return False


def run_all():
    if not STATE["held"]:
        with contextlib.suppress(gdb.error):  # nobody is stopped
            gdb.execute("continue -a &", to_string=True)


def keep_running(event):
    """Attaching stops the threads one by one, and tells of it later: set each running again."""
    if not isinstance(event, gdb.BreakpointEvent):
        gdb.post_event(run_all)


gdb.execute("set pagination off")
gdb.execute("set confirm off")
gdb.execute("set auto-solib-add off")
gdb.execute("set non-stop on")
gdb.execute(f"attach {PLAN['pid']}")
for kind, where in ((StepBegins, "step"), (Hold, "hold"), (PartEnds, "part")):
    kind(f"*{PLAN[where]}")
gdb.events.stop.connect(keep_running)
run_all()
say(ready=True)
