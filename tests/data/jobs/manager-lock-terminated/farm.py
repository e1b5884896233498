"""Workers share a registry; a foreman replaces one that takes too long."""
import multiprocessing as mp
import time
from multiprocessing.managers import SyncManager


def publish(board, guard, item, slow):
    with guard:
        total = board.get("total", 0)
        if slow:
            time.sleep(60)
        board["total"] = total + 1


def extract(board, guard, beats, number, start, slow_item):
    item = start
    while True:
        beats[number] = time.time()
        time.sleep(0.1)
        publish(board, guard, item, item == slow_item)
        item += 10


def hire(shared, beats, number, slow_item=None):
    one = mp.Process(target=extract, args=(*shared, beats, number, number, slow_item), daemon=True)
    one.start()
    return one


def main():
    manager = SyncManager()
    manager.start()
    print("manager is", manager._process.pid, flush=True)
    shared, beats = (manager.dict(), manager.Lock()), mp.Array("d", [time.time()] * 3, lock=False)
    crew = [hire(shared, beats, number, 31 if number == 1 else None) for number in range(3)]
    late = True
    while True:
        time.sleep(0.5)
        if late and time.time() - beats[1] > 2:
            print("worker 1 is late, replaced; hung_at", beats[1], flush=True)
            crew[1].terminate()
            crew[1].join()
            crew[1], late = hire(shared, beats, 1), False


if __name__ == "__main__":
    main()
