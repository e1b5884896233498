import multiprocessing, os, signal, time


def featurize(doc):
    if doc == 5:
        print("hung_at", time.time(), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)  # what the kernel does to the biggest one
    return len(str(doc))


def build_index():
    with multiprocessing.Pool(2) as pool:
        return pool.map(featurize, range(20), chunksize=1)


if __name__ == "__main__":
    print(sum(build_index()))
