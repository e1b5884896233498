"""Takes an order and answers with lines of JSON, as soon as there is something to tell.

An order: `do` (any of `scan`, `observe`, `stacks`, `ask`), `targets` (`{"pid", "recorder", "log"}`), `samples` and the
`gap` between them (with a single one nothing else is looked at), `budget` for each stack collector on each process,
`collectors` to try (none for all), `gently` (nobody is stopped), `redact` (no secret is told), `deadline`; all times
in seconds. `ask` is for the one `source`, which is told what is `wanted` and may take `seconds`. `libraries`,
`cache`, `site` and `py_spy` say where this machine has libdw, symbol tables, Python packages and py-spy.

A line has one of: `about`, `seen`, `evidence`, `beside`, `stacks`, `later`, `asked`, `done`;
`diagnostics.transport.answers` has their form.
"""

import json
import os
import signal
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Dict, Iterable, List

from diagnostics.collector import namespaces, procfs
from diagnostics.collector.discreet import redacted
from diagnostics.collector.look import Look, Target, plain
from diagnostics.collector.observing import ask, found, observe, resolved
from diagnostics.collector.scan import scan
from diagnostics.collector.sources import recorder
from diagnostics.collector.stacks import base, pyspy, unwinders
from diagnostics.collector.stacks.chain import collectors, stacks_of

Order = Dict[str, Any]
Say = Callable[..., None]

MOST_WORKERS = 8


def run(order: Order, say: Say) -> None:
    """Carry out an order; `say(kind=value)` tells a line."""
    do = order["do"]
    say(about={"host": socket.gethostname(), "machine": os.uname().machine, "kernel": os.uname().release})
    if "scan" in do:
        say(seen=scan(order["keys"]))
    if "observe" in do or "stacks" in do:
        _collect(order, say)
    if "ask" in do:
        look = Look(Target(**one) for one in order["targets"])
        for line in ask(look, order["source"], order["wanted"], order["seconds"]):
            say(**line)
    say(done=True)


def _collect(order: Order, say: Say) -> None:
    asked = [Target(**one) for one in order["targets"]]
    budget = order["budget"]
    count = min(os.cpu_count() or 1, len(asked), MOST_WORKERS) if "stacks" in order["do"] else 0
    # Before any thread of this program.
    with unwinders.begin(count, order.get("libraries") or unwinders.SYSTEM, order.get("cache", "")):
        targets = resolved(asked)
        known = order.get("events") or {}
        if "observe" in order["do"]:
            may_stop = "stacks" in order["do"] and not order.get("gently")
            for line in observe(Look(targets, may_stop), order["samples"], order["gap"]):
                if "evidence" in line:
                    evidence = line["evidence"]
                    known[str(evidence["pid"])] = evidence["samples"][-1].get("events", -1)
                say(**line)
        if "stacks" in order["do"]:
            _take_stacks([target.pid for target in targets], order, budget, say)
            for later in _later(targets, known):
                say(later=later)


def _take_stacks(pids: List[int], order: Order, budget: float, say: Say) -> None:
    chosen = collectors(order.get("collectors") or ())
    if order.get("gently"):
        chosen = [one._replace(read=one.gentle) for one in chosen if one.gentle]

    def take(pid: int) -> None:
        found = stacks_of(pid, budget, chosen)
        outputs = {name: {"text": one.text, "threads": one.threads} for name, one in found.outputs.items()}
        say(
            stacks={
                "pid": pid, "attempts": plain(found.attempts), "outputs": outputs, "state_after": procfs.state_of(pid),
                "at": time.monotonic(),
            }
        )  # fmt: skip

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        for _ in pool.map(take, pids):
            pass


def _later(targets: Iterable[Target], known: Dict[str, int]) -> Iterable[Dict[str, Any]]:
    """What recorders hold that have gone on while the stacks were taken.

    Stacks take a while. A rank whose pause ended meanwhile shows no reason for it in them, and did not hang.
    """
    for target in targets:
        counts = recorder.counts_of(target.recorder) if target.recorder else None
        if counts and counts.events > known.get(str(target.pid), -1):
            yield {"pid": target.pid, "flight": plain(recorder.load(target.recorder))}


def get_ready() -> None:
    """Import what every order needs. It may be a while until there is one."""
    found()
    collectors()


def main(order: Order) -> None:
    """Answer on standard output. Nobody is left behind or left stopped, also where this is cut short."""
    signal.alarm(int(order["deadline"]) + 5)
    signal.signal(signal.SIGTERM, lambda *_: _give_up(order))
    signal.signal(signal.SIGALRM, lambda *_: _give_up(order))
    namespaces.die_with_parent()
    sys.path += order.get("site") or []
    if order.get("py_spy"):
        pyspy.place[:] = [order["py_spy"]]
    lock = threading.Lock()

    def say(**line: Any) -> None:
        text = json.dumps(redacted(line) if order.get("redact") else line) + "\n"
        with lock:
            sys.stdout.write(text)
            sys.stdout.flush()

    run(order, say)
    sys.stdout.flush()
    os._exit(0)  # a source that waits for a dead file system is not waited for


def _give_up(order: Order) -> None:
    base.end_tools()
    for target in order.get("targets") or ():
        base.set_running(target["pid"])
    os._exit(1)


if __name__ == "__main__":
    main(json.loads(sys.stdin.read()))
