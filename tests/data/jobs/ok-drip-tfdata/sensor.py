import random, socket, sys, time
s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("sensor up", flush=True)
c, _ = s.accept()
while True:
    c.sendall(b"%.3f\n" % random.random())
    time.sleep(2.5)
