"""request handler pool with a connection pool: a task leaks the connection when it fails"""
import concurrent.futures as cf
import contextlib, os, queue, random, threading, time


class ConnPool:
    def __init__(self, n):
        self.free = queue.LifoQueue()
        for i in range(n):
            self.free.put('conn%d' % i)

    def take(self):
        return self.free.get()

    def give(self, c):
        self.free.put(c)


pool = ConnPool(3)


def insert_row(i):
    c = pool.take()
    if i % 40 == 39:
        raise ValueError('duplicate key')
    time.sleep(0.001)
    pool.give(c)
    return i


def stats(ex):
    """scraped each two seconds by prometheus"""
    while True:
        time.sleep(2)
        ex._work_queue.qsize()


with cf.ThreadPoolExecutor(4) as ex:
    threading.Thread(target=stats, args=(ex,), daemon=True).start()
    fs = [ex.submit(insert_row, i) for i in range(400)]
    print('READY', os.getpid(), 'hung_at', time.time(), flush=True)
    ok = sum(1 for f in cf.as_completed(fs) if not f.exception())
print(ok)
