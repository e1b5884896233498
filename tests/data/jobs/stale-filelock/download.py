"""Downloads a model once for all processes of this machine."""
import os
import time


class SoftLock:
    def __init__(self, path):
        self.path = path

    def acquire(self, poll=0.05):
        while True:
            try:
                self.fd = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
                return self
            except FileExistsError:
                time.sleep(poll)

    __enter__ = acquire

    def __exit__(self, *exc):
        os.close(self.fd)
        os.unlink(self.path)


def get_model(name):
    with SoftLock(name + ".lock"):
        return open(name, "w").write("weights")


open("bert.lock", "w").close()
print("hung_at", time.time(), flush=True)
get_model("bert")
