import time
from concurrent.futures import ThreadPoolExecutor

pool = ThreadPoolExecutor(3)


def fetch(page):
    time.sleep(0.05)
    return [page * 10 + k for k in range(3)] if page < 100 else []


def expand(page, depth):
    children = fetch(page)
    if depth == 0:
        return 1
    print("hung_at", time.time(), flush=True)
    parts = [pool.submit(expand, child, depth - 1) for child in children]
    return 1 + sum(p.result() for p in parts)


print([f.result() for f in [pool.submit(expand, n, 2) for n in range(1, 6)]])
