import fcntl, os, sys, time


def with_cache(role):
    f = open("cache.lock", "w")
    if role == "second":
        while not os.path.exists("taken"):
            time.sleep(0.05)
        print("hung_at", time.time(), flush=True)
        wait_for_cache(f)
    else:
        fcntl.flock(f, fcntl.LOCK_EX)
        open("taken", "w").close()
        print("got the cache", flush=True)
        rebuild_index()


def wait_for_cache(f):
    fcntl.flock(f, fcntl.LOCK_EX)


def rebuild_index():
    r, w = os.pipe()
    os.read(r, 1)  # the indexer tells when it is done


with_cache(sys.argv[1])
