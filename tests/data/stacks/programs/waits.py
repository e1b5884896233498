"""One thread for each way in which Python's standard library waits. CPython 3.6 and later."""

import asyncio
import concurrent.futures
import fcntl
import multiprocessing
import os
import queue
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

held = threading.Lock()
held.acquire()
held_again = threading.RLock()
owned = threading.Event()


def owner():
    with held_again:
        owned.set()
        threading.Event().wait()


def lock():
    held.acquire()


def rlock():
    owned.wait()
    with held_again:
        pass


def event():
    threading.Event().wait()


def condition():
    there = threading.Condition()
    with there:
        there.wait()


def condition_for():
    there = threading.Condition()
    with there:
        there.wait_for(lambda: False)


def semaphore():
    threading.Semaphore(0).acquire()


def barrier():
    threading.Barrier(2).wait()


def joining():
    other = threading.Thread(target=event, name="event-2", daemon=True)
    other.start()
    other.join()


def queue_get():
    queue.Queue().get()


def queue_put():
    full = queue.Queue(1)
    full.put(1)
    full.put(2)


def queue_join():
    undone = queue.Queue()
    undone.put(1)
    undone.join()


def simple_queue():
    getattr(queue, "SimpleQueue", queue.Queue)().get()


def event_limited():
    threading.Event().wait(3600)


def sleep():
    time.sleep(3600)


def accept():
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(1)
    server.accept()


def receive():
    one, two = socket.socketpair()
    one.makefile("rb").read(1)
    two.close()


def read_pipe():
    reading, _ = os.pipe()
    os.read(reading, 1)


def select_pipe():
    reading, _ = os.pipe()
    select.select([reading], [], [])


def flock():
    with tempfile.TemporaryFile() as file, open(f"/proc/self/fd/{file.fileno()}", "rb") as again:
        fcntl.flock(file, fcntl.LOCK_EX)
        fcntl.flock(again, fcntl.LOCK_EX)


def child():
    subprocess.Popen(["sleep", "3600"]).wait()


def communicate():
    subprocess.run(["sleep", "3600"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # noqa: UP022


def future():
    pool = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="pool-task")
    pool.submit(event).result()


def idle_pool():
    pool = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="pool-idle")
    pool.submit(int).result()
    event()


def fed_queue():
    fed = multiprocessing.Queue()
    fed.put(1)
    fed.get()
    fed.get()


def loop():
    asyncio.new_event_loop().run_forever()


def on_signal(number, frame):
    held.acquire()


WAYS = (
    owner, lock, rlock, event, condition, condition_for, semaphore, barrier, joining, queue_get, queue_put, queue_join,
    simple_queue, event_limited, sleep, accept, receive, read_pipe, select_pipe, flock, child, communicate, future,
    idle_pool, fed_queue, loop,
)  # fmt: skip


def main():
    for way in WAYS:
        threading.Thread(target=way, name=way.__name__, daemon=True).start()
    signal.signal(signal.SIGUSR1, on_signal)
    time.sleep(0.5)
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR1)).start()
    threading.Timer(1.0, lambda: (print("ready"), sys.stdout.flush())).start()
    threading.Event().wait()


main()
