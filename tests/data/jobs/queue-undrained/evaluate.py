import multiprocessing as mp
import os
import time


def predict(shard, out):
    out.put([os.urandom(1000) for _ in range(1000)])
    print("shard", shard, "done, pid", mp.current_process().pid, flush=True)


def collect():
    out = mp.Queue()
    ps = [mp.Process(target=predict, args=(n, out)) for n in range(2)]
    for p in ps:
        p.start()
    print("hung_at", time.time() , flush=True)
    for p in ps:
        p.join()
    return [out.get() for _ in ps]


if __name__ == "__main__":
    print(len(collect()))
