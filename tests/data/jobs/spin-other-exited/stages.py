import ctypes, multiprocessing as mp, os, time


def stage(k, turn, n, rounds):
    print('stage', k, os.getpid(), flush=True)
    acc = 0
    for r in range(rounds):
        while turn.value != k:      # "faster than a lock"
            pass
        acc += r
        if k == 1 and r == 500:
            os._exit(9)
        if k == 0 and r == 500:
            print('READY', os.getpid(), 'hung_at', time.time(), flush=True)
        turn.value = (k + 1) % n


if __name__ == '__main__':
    turn = mp.Value(ctypes.c_int, 0, lock=False)
    ps = [mp.get_context('spawn').Process(target=stage, args=(k, turn, 2, 10 ** 6)) for k in range(2)]
    for p in ps:
        p.start()
    for p in ps:
        p.join()
