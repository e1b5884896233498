"""Workers build a big table when they start (a minute), the parent waits for the first result."""
import multiprocessing as mp

table = None


def build_table():
    global table
    t, x = {}, 1
    for i in range(400_000_000):
        x = (x * 6364136223846793005 + 1442695040888963407) & 0xFFFFFFFFFFFFFFFF
        t[x & 0xFFFF] = i
    table = t


def lookup(k):
    return table.get(k, 0)


if __name__ == "__main__":
    print("starting workers", flush=True)
    with mp.Pool(1, initializer=build_table) as pool:
        for r in pool.imap_unordered(lookup, range(10)):
            print(r)
