"""a small prefork server: only the worker that has the accept lock accepts"""
import fcntl, os, socket, sys, tempfile, time, signal

WORKERS = 3


class Worker:
    def __init__(self, sock, lockname):
        self.sock = sock
        self.lockfile = open(lockname, 'w')

    def run(self):
        while True:
            fcntl.flock(self.lockfile, fcntl.LOCK_EX)
            conn, addr = self.sock.accept()
            print('worker', os.getpid(), 'reads hung_at', time.time(), flush=True)
            req = self.read_request(conn)
            fcntl.flock(self.lockfile, fcntl.LOCK_UN)
            conn.sendall(b'HTTP/1.0 200 OK\r\n\r\n' + req[:10])
            conn.close()

    def read_request(self, conn):
        buf = b''
        while b'\r\n\r\n' not in buf:
            buf += conn.recv(4096)
        return buf


class Arbiter:
    def __init__(self):
        self.sock = socket.socket()
        self.sock.bind(('127.0.0.1', 0))
        self.sock.listen(32)
        self.kids = []

    def spawn(self):
        name = tempfile.mktemp(dir=os.getcwd())
        for _ in range(WORKERS):
            pid = os.fork()
            if pid == 0:
                Worker(self.sock, name).run()
            self.kids.append(pid)

    def loop(self):
        print('arbiter', os.getpid(), 'workers', self.kids, flush=True)
        a = socket.create_connection(self.sock.getsockname())
        a.sendall(b'GET / HTTP/1.0\r\n\r\n')
        a.recv(100)
        self.slow = socket.create_connection(self.sock.getsockname())
        self.slow.sendall(b'GET /predict HTTP/1.0\r\nContent-')
        print('READY', flush=True)
        while True:
            pid, st = os.waitpid(-1, os.WNOHANG)
            time.sleep(1)


a = Arbiter()
a.spawn()
a.loop()
