import socket, sys, threading, time
s = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=64)
print("s3", flush=True)


def one(c):
    key = int(c.recv(100).split()[1])
    if key == 37:
        time.sleep(1e6)
    c.sendall(b"\0" * 32)
    c.close()


while 1:
    threading.Thread(target=one, args=(s.accept()[0],), daemon=True).start()
