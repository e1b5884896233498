"""Inference server with workers that were forked after the model was loaded."""
import os
import signal
import socket
import sys


class Model:
    def predict(self, text):
        return text[::-1]


def handle(conn, model):
    with conn:
        data = conn.recv(4096)
        conn.sendall(model.predict(data))


def worker(listener, model):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        conn, _ = listener.accept()
        handle(conn, model)


def master(port, n=3):
    listener = socket.create_server(("127.0.0.1", port))
    model = Model()
    for _ in range(n):
        if os.fork() == 0:
            worker(listener, model)
    print("ready on", port, flush=True)
    while True:
        pid, status = os.wait()
        if os.fork() == 0:
            worker(listener, model)


master(int(sys.argv[1]))
