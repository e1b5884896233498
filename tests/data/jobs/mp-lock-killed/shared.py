import multiprocessing as mp, os, signal, time


def accumulate(total, n):
    for _ in range(1000):
        with total.get_lock():
            total.value += n
            if n == 1 and total.value > 300:
                print("hung_at", time.time(), flush=True)
                os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.001)


if __name__ == "__main__":
    total = mp.Value("d", 0.0)
    crew = [mp.Process(target=accumulate, args=(total, n)) for n in (1, 2)]
    for p in crew:
        p.start()
    print("crew", *[p.pid for p in crew], flush=True)
    for p in crew:
        p.join()
