"""Scenario `idle-server`: rank ps waits for connections that do not come."""

import socket
import threading

from repro.nodes.node import start
from repro.nodes.plain import train


def serve(node):
    host, port = node.addresses["ps"][0].split(":")
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, int(port)))
    listener.listen(8)
    work = threading.Semaphore(0)
    for _ in range(4):
        thread = threading.Thread(target=work.acquire)
        thread.daemon = True
        thread.start()
    node.ready()
    while True:
        listener.accept()
        work.release()


def main():
    node = start()
    if node.role == "ps":
        serve(node)

    def at_epoch_end(stuck):
        if stuck:
            node.stuck()

    node.ready()
    train(node, at_epoch_end)


if __name__ == "__main__":
    main()
