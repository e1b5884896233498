import http.server, sys
from concurrent.futures import ThreadPoolExecutor

pool = ThreadPoolExecutor(4)
list(pool.map(str, range(10)))


class Predict(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Predict)
print("listening", flush=True)
server.serve_forever()
