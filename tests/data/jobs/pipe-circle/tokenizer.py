"""A tokenizer as a separate program, lines in and lines out."""
import subprocess, sys, time

CHILD = """
import sys
def tokenize_all():
    for line in sys.stdin:
        sys.stdout.write(' '.join(line.strip()) + ' ' * 5000 + '\\n')
tokenize_all()
"""


class Tokenizer:
    def __init__(self):
        self.p = subprocess.Popen([sys.executable, "-u", "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        print("tokenizer is", self.p.pid, flush=True)

    def feed(self, lines):
        for line in lines:
            self.p.stdin.write(line + "\n")
        self.p.stdin.flush()

    def results(self, n):
        return [self.p.stdout.readline() for _ in range(n)]


t = Tokenizer()
print("hung_at", time.time(), flush=True)
t.feed(["some text that is to be cut"] * 100000)
t.results(100000)
