import socket, sys
s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("hub", flush=True)
all_of_them = []
while 1:
    c, a = s.accept()
    c.sendall(b"\0" * 10000)
    all_of_them.append(c)
