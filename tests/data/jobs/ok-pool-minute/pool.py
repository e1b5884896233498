import multiprocessing as mp


def tune(seed):
    x = seed
    while True:
        for _ in range(100000):
            x = (x * 1103515245 + 12345) % 2 ** 31
        if x == -1:
            return x


if __name__ == "__main__":
    with mp.Pool(2) as pool:
        print("tuning", flush=True)
        print(max(pool.map(tune, range(1))))
