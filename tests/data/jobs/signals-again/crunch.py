import os, signal, threading, time


class Progress(object):
    def __init__(self):
        self.lock = threading.Lock()
        self.seen = {}

    def add(self, key, n):
        with self.lock:
            self.seen[key] = self.seen.get(key, 0) + n
            # keep the table small
            if len(self.seen) > 400:
                for k in sorted(self.seen)[:200]:
                    del self.seen[k]

    def dump(self):
        with self.lock:
            items = sorted(self.seen.items())
        print('progress', len(items))


progress = Progress()


def on_usr1(signum, frame):
    progress.dump()


def poke(pid):
    # asks for the state now and then, more often at the start
    for i in range(100):
        time.sleep(0.02)
        os.kill(pid, signal.SIGUSR1)
    print('READY', pid, flush=True)
    while True:
        time.sleep(3)
        os.kill(pid, signal.SIGUSR1)


def crunch():
    i = 0
    while True:
        for j in range(1000):
            i = (i * 1103515245 + 12345) % 2 ** 31
            progress.add('bucket-%d' % (i % 1009), 1)


if __name__ == '__main__':
    signal.signal(signal.SIGUSR1, on_usr1)
    me = os.getpid()
    # the scheduler asks for progress
    if os.fork() == 0:
        poke(me)
    crunch()
