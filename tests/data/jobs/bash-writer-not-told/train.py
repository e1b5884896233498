import os, queue, threading, random, time


class AsyncWriter:
    def __init__(self, path):
        self.q = queue.Queue()
        self.f = open(path, 'a')
        self.t = threading.Thread(target=self._loop)
        self.t.start()

    def _loop(self):
        while True:
            item = self.q.get()
            if item is None:
                break
            self.f.write(item + '\n')

    def log(self, s):
        self.q.put(s)

    def __del__(self):
        self.q.put(None)
        self.t.join()


def main():
    w = AsyncWriter('/dev/null')
    for e in range(20):
        w.log('epoch %d loss %f' % (e, random.random()))
    print('training finished', flush=True)


if __name__ == '__main__':
    main()
    print('READY', os.getpid(), 'hung_at', time.time(), flush=True)
