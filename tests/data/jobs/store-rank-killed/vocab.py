import os, time, datetime, pickle, signal, collections
from torch.distributed import TCPStore

rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])

def count_words(r):
    c = collections.Counter(("w%d" % (i * 7919 % 1000)) for i in range(20000 * (r + 1)))
    if r == 3:
        os.kill(os.getpid(), signal.SIGKILL)   # stand-in for the oom killer
    return c

def merge(store, mine):
    store.set("vocab/%d" % rank, pickle.dumps(mine))
    total = collections.Counter()
    for r in range(world):
        total.update(pickle.loads(store.get("vocab/%d" % r)))
    return total

if __name__ == "__main__":
    store = TCPStore("127.0.0.1", int(os.environ["STORE_PORT"]), world, rank == 0, datetime.timedelta(hours=2))
    counts = count_words(rank)
    print("hung_at", time.time(), flush=True)
    vocab = merge(store, counts)
    print(len(vocab))
