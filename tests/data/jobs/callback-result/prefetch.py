import time
from concurrent.futures import ThreadPoolExecutor


class Prefetcher:
    """Reads shards in a pool; when one has come, it is merged with its neighbour, which is read in the pool as well."""

    def __init__(self, workers=1):
        self.pool = ThreadPoolExecutor(workers, thread_name_prefix="prefetch")
        self.ready = []

    def read(self, n):
        time.sleep(0.2)
        return [n] * 4

    def merge(self, future):
        other = self.pool.submit(self.read, 100)
        print("hung_at", time.time(), flush=True)
        self.ready.append(future.result() + other.result())

    def start(self, n):
        f = self.pool.submit(self.read, n)
        f.add_done_callback(self.merge)
        return f

    def batches(self):
        for n in range(3):
            self.start(n).result()
        self.pool.shutdown(wait=True)
        return self.ready


print(Prefetcher().batches())
