"""Small programs as people write them, that hang for a known reason: `attach` names it, from their process ids alone.

All are started at once, since what takes time is their start; each is attached to once.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = {
    "a method that holds the lock calls one that takes it": (
        "lock-order",
        """
        import threading
        class Registry:
            def __init__(self):
                self._guard = threading.Lock()
                self._items = {}
            def add(self, name, item):
                with self._guard:
                    self._items[name] = item
                    self.publish()
            def publish(self):
                with self._guard:
                    print(sorted(self._items))
        print("READY", flush=True)
        Registry().add("a", 1)
        """,
    ),
    "a weak reference's callback takes the lock of the code that it interrupts": (
        "lock-order",
        """
        import threading, weakref
        class Page: pass
        lock = threading.Lock()
        pages = {}
        def forget(reference):
            with lock:
                pages.pop(id(reference), None)
        page = Page()
        pages[1] = weakref.ref(page, forget)
        print("READY", flush=True)
        with lock:
            del page
        """,
    ),
    "tasks of a thread pool apply others of it": (
        "thread-pool-exhaustion",
        """
        from multiprocessing.pool import ThreadPool
        import threading
        pool = ThreadPool(2)
        both = threading.Barrier(2)
        def tokenize(text):
            return text.split()
        def document(text):
            both.wait()
            return pool.apply(tokenize, (text,))
        print("READY", flush=True)
        print(pool.map(document, ["a b", "c d"]))
        """,
    ),
    "a worker of a pool leaves with its task": (
        "helper-process-dead",
        """
        import multiprocessing, os
        def clean(row):
            if row == 7:
                os._exit(3)
            return row
        if __name__ == "__main__":
            with multiprocessing.Pool(2) as crew:
                print("READY", flush=True)
                for row in crew.imap_unordered(clean, range(20)):
                    pass
        """,
    ),
    "the other end of a pipe has ended, and its copy is still open here": (
        "helper-process-dead",
        """
        import multiprocessing
        def simulate(answers):
            answers.send("first")
        if __name__ == "__main__":
            ours, theirs = multiprocessing.Pipe()
            helper = multiprocessing.Process(target=simulate, args=(theirs,))
            helper.start()
            print(ours.recv())
            helper.join()
            print("READY", flush=True)
            print(ours.recv())
        """,
    ),
    "parent and child each wait for the other's line": (
        "pipe-full",
        """
        import subprocess, sys
        calculator = subprocess.Popen(
            [sys.executable, "-c", "import sys\\nfor line in sys.stdin: sys.stdout.write(str(eval(line)))"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        calculator.stdin.write("1 + 1\\n")
        print("READY", flush=True)
        print(calculator.stdout.readline())
        """,
    ),
    "a child is joined before its results are taken": (
        "pipe-full",
        """
        import multiprocessing
        def measure(results):
            for _ in range(64):
                results.put(bytes(65536))
        if __name__ == "__main__":
            context = multiprocessing.get_context("fork")
            results = context.Queue()
            worker = context.Process(target=measure, args=(results,))
            worker.start()
            print("READY", flush=True)
            worker.join()
        """,
    ),
    "two coroutines wait for each other's event": (
        "lost-wakeup",
        """
        import asyncio
        async def ping(mine, other):
            await other.wait()
            mine.set()
        async def play():
            left, right = asyncio.Event(), asyncio.Event()
            print("READY", flush=True)
            await asyncio.gather(ping(left, right), ping(right, left))
        asyncio.run(play())
        """,
    ),
    "a queue is joined whose consumer forgot to say that it is done": (
        "lost-wakeup",
        """
        import queue, threading
        jobs = queue.Queue()
        def consume():
            while (job := jobs.get()) is not None:
                if job % 2:
                    continue
                jobs.task_done()
        threading.Thread(target=consume, daemon=True).start()
        for number in range(10):
            jobs.put(number)
        print("READY", flush=True)
        jobs.join()
        """,
    ),
    "at exit a thread is left that waits for work": (
        "teardown",
        """
        import queue, threading
        class Uploader(threading.Thread):
            def __init__(self):
                super().__init__(name="uploader")
                self.inbox = queue.Queue()
                self.start()
            def run(self):
                while True:
                    self.inbox.get()
        uploader = Uploader()
        uploader.inbox.put("model.bin")
        print("READY", flush=True)
        """,
    ),
    "a fork copied the lock of a logger's thread": (
        "fork-with-threads",
        """
        import os, threading, time
        guard = threading.Lock()
        def write_often():
            with guard:
                time.sleep(600)
        threading.Thread(target=write_often, daemon=True).start()
        while not guard.locked():
            time.sleep(0.01)
        child = os.fork()
        if not child:
            with guard:
                os._exit(0)
        print("READY", flush=True)
        os.waitpid(child, 0)
        """,
    ),
    "two account books are locked in different orders": (
        "lock-order",
        """
        import threading
        class Book:
            def __init__(self):
                self.lock = threading.RLock()
        def move(here, there, both):
            with here.lock:
                both.wait()
                with there.lock:
                    pass
        books = Book(), Book()
        both = threading.Barrier(3)
        for pair in (books, books[::-1]):
            threading.Thread(target=move, args=(*pair, both)).start()
        both.wait()
        print("READY", flush=True)
        """,
    ),
}
HEALTHY = {
    "a service that waits for its first client": """
        import socketserver
        server = socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler)
        print("READY", flush=True)
        server.serve_forever()
        """,
    "a pool that works": """
        import multiprocessing, time
        def work(seconds):
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                sum(range(1000)); time.sleep(0.05)
        if __name__ == "__main__":
            with multiprocessing.Pool(2) as pool:
                print("READY", flush=True)
                pool.map(work, [600, 600])
        """,
}


class Started:
    """Programs in process groups of their own, ended with all their children."""

    def __init__(self, folder: Path) -> None:
        self.running: dict[str, subprocess.Popen[str]] = {}
        for number, (story, text) in enumerate([*((s, t) for s, (_, t) in PROGRAMS.items()), *HEALTHY.items()]):
            path = folder / f"program{number}.py"
            path.write_text(textwrap.dedent(text), "utf-8")
            self.running[story] = subprocess.Popen(
                [sys.executable, str(path)], stdout=subprocess.PIPE, text=True, start_new_session=True, cwd=folder
            )

    def wait(self) -> None:
        for process in self.running.values():
            assert process.stdout
            while "READY" not in process.stdout.readline():
                assert process.poll() is None

    def end(self) -> None:
        for process in self.running.values():
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            assert process.stdout
            process.stdout.close()


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What `attach` says of each, several asked at a time: it waits between its samples."""
    folder = tmp_path_factory.mktemp("programs")
    programs = Started(folder)
    try:
        programs.wait()
        with ThreadPoolExecutor(4) as pool:
            pids = [process.pid for process in programs.running.values()]
            yield dict(zip(programs.running, pool.map(attached, pids, [folder] * len(pids)), strict=True))
    finally:
        programs.end()


def attached(pid: int, folder: Path) -> Any:
    """The answer as JSON. A program may need a moment until it stands still: then it is asked once more."""
    command = [sys.executable, "-m", "repro", "attach", str(pid), "--json"]
    root = str(Path(__file__).parents[2])
    for _ in range(2):
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=folder, env={**os.environ, "PYTHONPATH": root}, check=False
        )
        assert done.stdout, done.stderr
        answer = json.loads(done.stdout)
        if answer["verdict"] not in ("unknown", "none"):
            break
    return answer


@pytest.mark.parametrize("story", PROGRAMS)
def test_the_reason_is_named(story: str, answers: dict[str, Any]) -> None:
    answer = answers[story]
    assert answer["verdict"] == PROGRAMS[story][0], answer["findings"]
    assert not answer.get("errors")


@pytest.mark.parametrize("story", HEALTHY)
def test_a_program_that_serves_or_works_has_no_cause(story: str, answers: dict[str, Any]) -> None:
    answer = answers[story]
    assert answer["verdict"] in ("none", "slow", "unknown"), answer["findings"]
