import threading
import time

ready = threading.Condition()
batch = None


def produce():
    global batch
    batch = [1, 2, 3]
    with ready:
        ready.notify()


def next_batch():
    time.sleep(0.5)  # still busy with the one before
    with ready:
        print("hung_at", time.time(), flush=True)
        ready.wait()
    return batch


t = threading.Thread(target=produce)
t.start()
print(next_batch())
t.join()
