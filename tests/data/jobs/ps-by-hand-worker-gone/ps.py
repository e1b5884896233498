# a parameter server by hand: one process per worker, one thread per connection
import os, pickle, random, socket, struct, threading, time, sys

N = 3


def send(s, obj):
    b = pickle.dumps(obj)
    s.sendall(struct.pack('>I', len(b)) + b)


def recvall(s, n):
    b = b''
    while len(b) < n:
        c = s.recv(n - len(b))
        if not c:
            raise EOFError
        b += c
    return b


def recv(s):
    return pickle.loads(recvall(s, struct.unpack('>I', recvall(s, 4))[0]))


class Server:
    def __init__(self):
        self.w = [0.0] * 10
        self.grads = []
        self.lock = threading.Lock()
        self.bar = threading.Barrier(N, action=self.apply)
        self.sock = socket.socket()
        self.sock.bind(('127.0.0.1', 0))
        self.sock.listen(8)

    def apply(self):
        for g in self.grads:
            self.w = [a - 0.1 * b for a, b in zip(self.w, g)]
        self.grads = []

    def handle(self, c):
        try:
            while True:
                g = recv(c)
                with self.lock:
                    self.grads.append(g)
                self.bar.wait()
                send(c, self.w)
        except EOFError:
            pass

    def serve(self):
        ts = []
        for _ in range(N):
            c, _a = self.sock.accept()
            t = threading.Thread(target=self.handle, args=(c,))
            t.start()
            ts.append(t)
        for t in ts:
            t.join()


def worker(k, port):
    s = socket.create_connection(('127.0.0.1', port))
    for step in range(100000):
        if step == 40:
            print('READY worker', k, os.getpid(), 'hung_at', time.time(), flush=True)
            if k == 2:
                raise SystemExit(3)   # "out of memory"
        time.sleep(0.01)
        send(s, [random.gauss(0, 1) for _ in range(10)])
        w = recv(s)


srv = Server()
port = srv.sock.getsockname()[1]
for k in range(N):
    if os.fork() == 0:
        srv.sock.close()
        worker(k, port)
        os._exit(0)
print('server', os.getpid())
srv.serve()
