import os
import struct
import time
from multiprocessing import Process, shared_memory

SLOTS, SIZE = 4, 256


def flag(shm, i, value=None):
    if value is None:
        return shm.buf[i * SIZE]
    shm.buf[i * SIZE] = value


def claim(shm, i):
    while flag(shm, i):
        time.sleep(0.001)


def produce(name, count):
    shm = shared_memory.SharedMemory(name)
    print("producer", os.getpid(), flush=True)
    for n in range(count):
        i = n % SLOTS
        claim(shm, i)
        struct.pack_into("<q", shm.buf, i * SIZE + 8, -n if n == 20 else n)
        flag(shm, i, 1)
    shm.close()


def consume(shm, count):
    total = 0
    for n in range(count):
        i = n % SLOTS
        while not flag(shm, i):
            time.sleep(0.001)
        (value,) = struct.unpack_from("<q", shm.buf, i * SIZE + 8)
        if value < 0:
            raise ValueError(f"sample {n} is corrupt")
        total += value
        flag(shm, i, 0)
    return total


def run():
    shm = shared_memory.SharedMemory(create=True, size=SLOTS * SIZE)
    shm.buf[:] = bytes(SLOTS * SIZE)
    p = Process(target=produce, args=(shm.name, 1000))
    p.start()
    try:
        print("sum", consume(shm, 1000))
    except ValueError as e:
        print("warning:", e, "hung_at", time.time(), flush=True)
    p.join()
    shm.unlink()


if __name__ == "__main__":
    run()
