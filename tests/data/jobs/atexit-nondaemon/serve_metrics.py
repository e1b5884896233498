"""A training run with a metrics endpoint in a thread that nobody stops."""
import http.server
import random
import sys
import threading
import time


class Metrics(http.server.BaseHTTPRequestHandler):
    values = {}

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(repr(self.values).encode())


def start_endpoint(port):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Metrics)
    threading.Thread(target=server.serve_forever, name="metrics").start()


def train():
    for step in range(50):
        Metrics.values["loss"] = random.random() / (step + 1)
        time.sleep(0.02)


start_endpoint(int(sys.argv[1]))
train()
print("training finished, hung_at", time.time(), flush=True)
