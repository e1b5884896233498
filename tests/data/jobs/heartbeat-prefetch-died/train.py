import os, queue, threading, time, logging

logging.basicConfig(level=logging.INFO, format='%(asctime)s %(threadName)s %(message)s')


class Prefetcher:
    def __init__(self, source, depth=4):
        self.q = queue.Queue(depth)
        self.source = source
        self.t = threading.Thread(target=self._fill, name='prefetch', daemon=True)
        self.t.start()

    def _fill(self):
        try:
            for item in self.source:
                self.q.put(self.decode(item))
        except Exception as e:
            logging.error('prefetch: %s', e)

    def decode(self, item):
        if len(item) == 0:
            raise ValueError('empty record')
        return sum(item)

    def __next__(self):
        return self.q.get()


def heartbeat(state):
    while True:
        logging.info('alive, step %d, rss %s', state['step'], open('/proc/self/statm').read().split()[1])
        time.sleep(1)


def source():
    for i in range(10 ** 6):
        yield range(i % 50) if i != 5000 else ()


def main():
    state = {'step': 0}
    threading.Thread(target=heartbeat, args=(state,), name='heartbeat', daemon=True).start()
    it = Prefetcher(source())
    while True:
        if state['step'] == 4990:
            print('READY', os.getpid(), 'hung_at', time.time(), flush=True)
        next(it)
        state['step'] += 1


main()
