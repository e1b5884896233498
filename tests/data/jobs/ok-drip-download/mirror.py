import socket, sys, time
s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("mirror", flush=True)
c, _ = s.accept()
c.recv(1000)
c.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 100000000\r\n\r\n")
while True:
    c.sendall(b"z" * 20000)
    time.sleep(0.4)
