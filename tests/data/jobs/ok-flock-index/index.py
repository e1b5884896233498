import fcntl, os, time, sys, random, hashlib


def build_index(rank):
    """only one may build at a time; takes half a minute of hashing"""
    h = b'x'
    t = time.time()
    while time.time() - t < 35:
        for _ in range(10000):
            h = hashlib.sha256(h).digest()
    return h.hex()


def main(rank):
    with open('index.lock', 'w') as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        print('READY' if rank >= 0 else '', rank, os.getpid(), flush=True)
        idx = build_index(rank)
        fcntl.flock(f, fcntl.LOCK_UN)
    print(rank, 'index', idx[:8], flush=True)


kids = []
for r in range(3):
    pid = os.fork()
    if pid == 0:
        main(r)
        os._exit(0)
    kids.append(pid)
for k in kids:
    os.waitpid(k, 0)
