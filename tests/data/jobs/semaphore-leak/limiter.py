import threading, time

slots = threading.BoundedSemaphore(4)


def compress(n):
    slots.acquire()
    if n % 3 == 0:
        return  # nothing to do; the slot is not given back
    time.sleep(0.01)
    slots.release()


class Worker(threading.Thread):
    def run(self):
        for n in range(20):
            if n == 3:
                print("hung_at", time.time(), flush=True)
            compress(n)


crew = [Worker() for _ in range(3)]
for w in crew: w.start()
for w in crew: w.join()
