import socketserver, sys, time


class Labels(socketserver.StreamRequestHandler):
    def handle(self):
        number = int(self.rfile.readline().split()[1])
        while number >= 4:  # not in the store yet
            time.sleep(1)
        self.wfile.write(b"0.5 1.5\n")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


print("serving", flush=True)
Server(("127.0.0.1", int(sys.argv[1])), Labels).serve_forever()
