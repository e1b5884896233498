import http.server, json, sys, threading, time, urllib.request


class Api(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"state": "PENDING"}).encode())

    def log_message(self, *args):
        pass


def wait_until_done(url):
    while True:
        with urllib.request.urlopen(url) as r:
            if json.load(r)["state"] == "DONE":
                return
        time.sleep(0.7)


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Api)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("submitted, hung_at", time.time(), flush=True)
wait_until_done("http://127.0.0.1:%s/job/1" % sys.argv[1])
