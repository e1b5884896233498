"""Histograms by shard, in threads; each shard is split again over the same threads."""
import time
from multiprocessing.pool import ThreadPool

threads = ThreadPool(3)


def histogram(rows):
    return {row % 7: rows.count(row) for row in rows}


def shard(number):
    time.sleep(0.3)
    print("shard", number, "hung_at", time.time(), flush=True)
    parts = [list(range(number, number + 40)), list(range(10))]
    return threads.map(histogram, parts)


print(threads.map(shard, range(6)))
