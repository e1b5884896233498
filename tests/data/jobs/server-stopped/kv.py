"""kv.py serve|put HOST:PORT"""
import socket
import sys
import time


def recv_line(sock):
    data = b""
    while not data.endswith(b"\n"):
        data += sock.recv(1)
    return data


def serve(address):
    listener = socket.create_server(address)
    table = {}
    peer, _ = listener.accept()
    while True:
        key, value = recv_line(peer).split()
        table[key] = value
        peer.sendall(b"ok\n")


def put_all(address):
    while True:
        try:
            sock = socket.create_connection(address)
            break
        except OSError:
            time.sleep(0.1)
    n = 0
    while True:
        sock.sendall(b"%d %d\n" % (n % 100, n))
        recv_line(sock)
        n += 1
        if n == 2000:
            print("warm", flush=True)


host, port = sys.argv[2].split(":")
{"serve": serve, "put": put_all}[sys.argv[1]]((host, int(port)))
