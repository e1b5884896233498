import ctypes, sys, threading, time

PROGRESS = ctypes.CFUNCTYPE(None, ctypes.c_int)
slow = ctypes.CDLL(sys.argv[1])
quick = ctypes.PyDLL(sys.argv[1])


def report(n):
    print("frame", n, flush=True)


def encode():
    slow.encode_frames(100, PROGRESS(report))


def show_status():
    return quick.frames_done()


threading.Thread(target=encode).start()
time.sleep(1.1)
print("hung_at", time.time(), flush=True)
while True:
    show_status()
    time.sleep(1)
