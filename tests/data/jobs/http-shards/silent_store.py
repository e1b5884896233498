"""An object store on one machine: answers HEAD-like metadata, and stalls on the objects themselves."""
import socket, sys, threading, time


def serve(conn):
    f = conn.makefile("rb")
    while True:
        line = f.readline()
        if not line:
            return
        path = line.split()[1].decode()
        while f.readline().strip():
            pass
        if path.endswith("shard-1.bin"):
            conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n" + b"x" * 4096)
            time.sleep(100000)
        body = b"x" * 2048
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("store is up", flush=True)
while True:
    c, _ = s.accept()
    threading.Thread(target=serve, args=(c,), daemon=True).start()
