import os, socket, sys, time


class Worker:
    def __init__(self, rank, ps):
        self.rank, self.ps = rank, ps
        self.tries = 0

    def connect(self):
        while True:
            try:
                return socket.create_connection(self.ps, timeout=5)
            except OSError as e:
                self.tries += 1
                if self.tries == 1:
                    print('worker', self.rank, os.getpid(), 'hung_at', time.time(), flush=True)
                print('rank', self.rank, 'ps not there yet:', e, flush=True)
                time.sleep(1.5)

    def pull(self):
        s = self.connect()
        s.sendall(b'pull')
        return s.recv(100)


def serve(sock):
    print('ps', os.getpid(), flush=True)
    for _ in range(4):
        c, _a = sock.accept()
        c.recv(4)
        c.sendall(b'weights')
        c.close()
    raise SystemExit('oom')


sock = socket.socket()
sock.bind(('127.0.0.1', 0))
sock.listen(4)
addr = sock.getsockname()
if os.fork() == 0:
    try:
        serve(sock)
    finally:
        os._exit(1)
sock.close()
kids = []
for r in range(2):
    pid = os.fork()
    if pid == 0:
        w = Worker(r, addr)
        for step in range(1000):
            if step == 4:
                print('READY', os.getpid(), flush=True)
            w.pull()
            time.sleep(0.1)
        os._exit(0)
    kids.append(pid)
for k in kids:
    os.waitpid(k, 0)
