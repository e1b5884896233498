"""prefork model server: the master supervises, workers answer; a client comes now and then"""
import json, os, random, socket, sys, time
from http.server import HTTPServer, BaseHTTPRequestHandler


class Predict(BaseHTTPRequestHandler):
    def do_GET(self):
        x = len(self.path)
        body = json.dumps({'y': x * 0.5, 'pid': os.getpid()}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *a):
        pass


class Pre(HTTPServer):
    request_queue_size = 32


def master(n):
    srv = Pre(('127.0.0.1', 0), Predict)
    kids = []
    for _ in range(n):
        pid = os.fork()
        if pid == 0:
            srv.serve_forever(poll_interval=30)
        kids.append(pid)
    if os.fork() == 0:
        client(srv.server_address)
    print('master', os.getpid(), kids, flush=True)
    while kids:
        pid, st = os.wait()
        kids.remove(pid)


def client(addr):
    n = 0
    while True:
        with socket.create_connection(addr) as s:
            s.sendall(b'GET /x%d HTTP/1.0\r\n\r\n' % n)
            while s.recv(1000):
                pass
        n += 1
        if n == 2:
            print('READY', os.getpid(), flush=True)
        time.sleep(5)


master(3)
