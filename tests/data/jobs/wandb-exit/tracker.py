"""A tiny experiment tracker: a child process sends what is logged to a server."""
import atexit
import json
import multiprocessing as mp
import os
import socket
import time


class Run:
    def __init__(self, port):
        self._queue = mp.Queue()
        self._service = mp.Process(target=_service_main, args=(self._queue, port), name="tracker-service")
        self._service.start()
        atexit.register(self.finish)

    def log(self, **values):
        self._queue.put(values)

    def finish(self):
        self._queue.put(None)
        self._service.join()


def _service_main(queue, port):
    sock = socket.create_connection(("127.0.0.1", port))
    print("service pid", os.getpid(), flush=True)
    while (row := queue.get()) is not None:
        _ship(sock, row)
    _ship(sock, {"finished": True})


def _ship(sock, row):
    sock.sendall(json.dumps(row).encode() + b"\n")
    if "finished" in row:
        print("hung_at", time.time(), flush=True)
    sock.recv(2)  # "ok"
