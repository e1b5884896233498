import os, random, sys, time
from concurrent.futures import ProcessPoolExecutor


def minhash(seed):
    rnd = random.Random(seed)
    best = [1 << 62] * 32
    for _ in range(10_000_000):
        v = rnd.getrandbits(60)
        k = v & 31
        if v < best[k]:
            best[k] = v
    return best


def main():
    print("deduplicating", flush=True)
    with ProcessPoolExecutor(1) as pool:
        signatures = list(pool.map(minhash, range(8)))
    print(len(set(map(tuple, signatures))))


main()
