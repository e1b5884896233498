"""What an event costs in the job, beside what a user would take instead.

    python bench/recorder.py [--json] [--events N] [--repeats N]

Every CPython from 3.6 on that is found on PATH or under pyenv measures itself in a process of its own:
the median over repeats of a loop over N events, microseconds an event, and the ratio to the recorder's
step. Both the time that passed and the CPU time are given: on a busy machine they differ, and then the
second is the cost. Loops are taken in turn, so that a busy moment of the machine hits all of them. All
files are in one temporary directory, by default in /dev/shm, which flatters the alternatives. The loop
itself is included in each.

Python 3.6 syntax: the file runs itself in the interpreters that it measures.
"""
# ruff: noqa: UP004, UP031

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir)


def subjects(home):
    """Name -> a function that makes n events."""
    import logging
    import sqlite3

    # Without the package's parents: 3.6 could not import those.
    sys.path.insert(0, os.path.join(ROOT, "diagnostics"))
    from recorder import NullRecorder, Recorder

    rec = Recorder(os.path.join(home, "a.lbrec"), "worker:0")
    null = NullRecorder()
    logger = logging.getLogger("bench")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    handler = logging.FileHandler(os.path.join(home, "log"))
    handler.setFormatter(logging.Formatter("%(asctime)s %(threadName)s %(message)s"))
    logger.addHandler(handler)
    text = open(os.path.join(home, "print"), "w")  # noqa: SIM115
    base = sqlite3.connect(os.path.join(home, "sqlite"), isolation_level=None)
    base.execute("create table event (mono real, wall real, kind int, step int, rows int)")

    class Empty(object):
        def method(self, rows):
            pass

    def steps(target):
        def run(n):
            begin, end = target.step_begin, target.step_end
            for _ in range(n // 2):
                begin()
                end(32)

        return run

    def barrier(n):
        begin, end = rec.barrier_begin, rec.barrier_end
        for _ in range(n // 2):
            begin("all")
            end("all")

    def calls(one):
        def run(n):
            for step in range(n):
                one(step)

        return run

    def insert(step):
        values = (time.monotonic(), time.time(), 1, step, 32)
        base.execute("insert into event values (?, ?, ?, ?, ?)", values)

    return {
        "recorder: step": steps(rec),
        "recorder: rows": calls(rec.rows),
        "recorder: barrier": barrier,
        "recorder: off": steps(null),
        "empty method": calls(Empty().method),
        "logging to a file": calls(lambda step: logger.info("step %d rows %d", step, 32)),
        "print and flush": calls(lambda step: print(time.time(), "step", step, 32, file=text, flush=True)),
        "sqlite insert": calls(insert),
    }


def measure(events, repeats, home):
    """Microseconds an event: name -> a repeat's passed and CPU time."""
    loops = subjects(home)
    taken = {name: [] for name in loops}
    for loop in loops.values():
        loop(1000)
    for _ in range(repeats):
        for name, loop in loops.items():
            n = events if name.startswith(("recorder", "empty")) else events // 10
            begin, cpu = time.perf_counter(), time.process_time()
            loop(n)
            used, passed = time.process_time() - cpu, time.perf_counter() - begin
            taken[name].append((passed / n * 1e6, used / n * 1e6))
    return taken


def interpreters():
    """CPython releases from 3.6 on, oldest first: version -> path."""
    root = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    installed = os.listdir(os.path.join(root, "versions")) if os.path.isdir(os.path.join(root, "versions")) else []
    found = {}
    for minor in range(6, 15):
        paths = [os.path.join(root, "versions", name, "bin", "python") for name in sorted(installed)
                 if name.startswith("3.%d." % minor)]  # fmt: skip
        path = (paths or [shutil.which("python3.%d" % minor)])[-1]
        if path:
            found["3.%d" % minor] = path
    return found or {"%d.%d" % sys.version_info[:2]: sys.executable}


def main():
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("--events", type=int, default=100000, help="events a loop; a tenth for the slow alternatives")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--python", metavar="3.N", help="only this release")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        home = tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        try:
            json.dump(measure(options.events, options.repeats, home), sys.stdout)
        finally:
            shutil.rmtree(home)
        return
    results = []
    for version, python in interpreters().items():
        if options.python not in (None, version):
            continue
        command = [python, os.path.abspath(__file__), "--here", "--events", str(options.events)]
        out = subprocess.check_output([*command, "--repeats", str(options.repeats)])
        taken = json.loads(out.decode())
        step = statistics.median(cpu for _, cpu in taken["recorder: step"])
        for name, values in taken.items():
            cpu = statistics.median(used for _, used in values)
            results.append(
                {
                    "python": version,
                    "subject": name,
                    "us": round(statistics.median(passed for passed, _ in values), 3),
                    "us_min": round(min(passed for passed, _ in values), 3),
                    "us_max": round(max(passed for passed, _ in values), 3),
                    "cpu_us": round(cpu, 3),
                    "times_step": round(cpu / step, 2),
                }
            )
    if options.json:
        json.dump({"events": options.events, "repeats": options.repeats, "results": results}, sys.stdout)
        sys.stdout.write("\n")
        return
    print("microseconds an event: median (least to most) over %d repeats, and CPU time" % options.repeats)
    print("%-7s %-20s %9s %21s %9s %12s" % ("python", "", "median", "", "CPU", "times a step"))
    for row in results:
        span = "(%.3f to %.3f)" % (row["us_min"], row["us_max"])
        numbers = (row["us"], span, row["cpu_us"], row["times_step"])
        print("%-7s %-20s %9.3f %21s %9.3f %12.2f" % (row["python"], row["subject"], *numbers))


if __name__ == "__main__":
    main()
