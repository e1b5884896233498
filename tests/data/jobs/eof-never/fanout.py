"""Helpers by hand: each gets its orders over one pipe and writes its results into another, until it closes it."""
import os
import time


class Helper:
    def __init__(self, name, task):
        order_r, self.orders = os.pipe()
        self.results, result_w = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.orders), os.close(self.results)
            line = os.read(order_r, 100).decode()
            os.write(result_w, task(line).encode())
            os._exit(0)
        self.result_w = result_w
        print("helper", name, "is", self.pid, flush=True)

    def order(self, text):
        os.close(self.result_w)
        os.write(self.orders, text.encode())

    def collect(self):
        out = b""
        while block := os.read(self.results, 4096):
            out += block
        return out.decode()


def main():
    helpers = [Helper(n, str.upper) for n in ("tokenize", "shuffle", "pack")]
    for h in helpers:
        h.order("some text")
        print("collecting hung_at", time.time(), flush=True)
        print(h.collect(), flush=True)


main()
