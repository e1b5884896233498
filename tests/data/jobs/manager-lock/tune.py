import multiprocessing as mp
import os
import random
import time


def trial(number, lock, board):
    score = random.random()
    print("trial", number, "pid", os.getpid(), flush=True)
    time.sleep(0.3 * number)
    record(number, lock, board, score)


def record(number, lock, board, score):
    with lock:
        if number == 1:
            print("trial 1 takes the lock", "hung_at", time.time(), flush=True)
            while not os.path.exists("/mnt/results/ready"):  # the share is mounted by another job
                time.sleep(2)
        board[number] = score


def main():
    with mp.Manager() as manager:
        lock, board = manager.Lock(), manager.dict()
        procs = [mp.Process(target=trial, args=(n, lock, board)) for n in range(4)]
        for p in procs:
            p.start()
        for p in procs:
            p.join()
        print(dict(board))


if __name__ == "__main__":
    main()
