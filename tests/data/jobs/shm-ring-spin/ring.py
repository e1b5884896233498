import os, struct, time
from multiprocessing import Process, shared_memory

SLOTS, WIDTH = 8, 1024

class Ring:
    def __init__(self, name=None):
        self.shm = shared_memory.SharedMemory(name=name, create=name is None, size=16 + SLOTS * WIDTH)
        if name is None:
            self.shm.buf[:16] = bytes(16)
    head = property(lambda s: struct.unpack_from("q", s.shm.buf, 0)[0])
    tail = property(lambda s: struct.unpack_from("q", s.shm.buf, 8)[0])
    def push(self, data):
        while self.head - self.tail >= SLOTS:
            pass
        o = 16 + (self.head % SLOTS) * WIDTH
        self.shm.buf[o:o + len(data)] = data
        struct.pack_into("q", self.shm.buf, 0, self.head + 1)
    def pop(self):
        while self.head == self.tail:
            pass
        o = 16 + (self.tail % SLOTS) * WIDTH
        out = bytes(self.shm.buf[o:o + WIDTH])
        struct.pack_into("q", self.shm.buf, 8, self.tail + 1)
        return out

def decoder(name):
    ring = Ring(name)
    try:
        for i in range(10 ** 6):
            frame = bytes([i % 300]) * 64      # ValueError at 256
            ring.push(frame)
    except ValueError as e:
        print("decoder: bad frame skipped", e, flush=True)

def consume(ring):
    total = 0
    for i in range(10 ** 6):
        total += sum(ring.pop()[:64])
    return total

if __name__ == "__main__":
    ring = Ring()
    p = Process(target=decoder, args=(ring.shm.name,))
    p.start()
    print("hung_at", time.time(), flush=True)
    print(consume(ring))
