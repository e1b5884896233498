import socket, sys, time
s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("up", flush=True)
c, _ = s.accept()
for line in c.makefile():
    if "finished" in line:
        time.sleep(1e6)
    c.sendall(b"ok")
