import socket, sys
s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("up", flush=True)
keep = []
while True:
    keep.append(s.accept())
