import multiprocessing as mp, os, time


class Consumer(mp.Process):
    def __init__(self, q, done):
        super().__init__()
        self.q, self.done = q, done

    def run(self):
        while True:
            item = self.q.get()
            if item is None:
                return
            self.done.put(sum(i * i for i in range(item)))


def poll_folder(n):
    # new files come every fifteen seconds or so
    time.sleep(15)
    return [200000 + n] * 6


def main():
    q, done = mp.Queue(), mp.Queue()
    cs = [Consumer(q, done) for _ in range(3)]
    for c in cs:
        c.start()
    for n in range(100):
        if n == 1:
            print('READY', os.getpid(), flush=True)
        items = poll_folder(n)
        for i in items:
            q.put(i)
        print(n, sum(done.get() for _ in items), flush=True)


if __name__ == '__main__':
    main()
