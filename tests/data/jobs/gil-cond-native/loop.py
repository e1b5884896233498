import ctypes, os, threading, time

chan = ctypes.PyDLL(os.path.abspath("chan.so"))


def augment():
    i = 0
    while i < 1 << 30:
        time.sleep(0.02)
        chan.chan_put(i)
        i += 1


def take_batch(n):
    return [chan.chan_take() for _ in range(n)]


def main():
    threading.Thread(target=augment, name="augment", daemon=True).start()
    time.sleep(0.1)
    for epoch in range(3):
        print("epoch", epoch, "hung_at", time.time(), flush=True)
        print(sum(take_batch(64)))


main()
