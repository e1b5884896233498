import ctypes
import os
import threading
import time

sim = ctypes.PyDLL(os.path.abspath("spin.so"))


def play():
    return sim.run_until_stopped()


def episode(seconds):
    t = threading.Timer(seconds, sim.request_stop)
    t.start()
    print("episode hung_at", time.time() + seconds, flush=True)
    reward = play()
    t.join()
    return reward


print(episode(0.5))
