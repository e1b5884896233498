"""Scenario `gil-held`: a native read of a pipe that another Python thread is to fill."""

import ctypes
import os
import sys
import threading

from repro.nodes.node import start
from repro.nodes.plain import train


def load_batch(wanted, write_end):
    wanted.wait()
    os.write(write_end, b"x")


def main():
    node = start()
    releasing = ctypes.CDLL(None)
    keeping = ctypes.PyDLL(None)

    def at_epoch_end(stuck):
        kept = stuck and node.arm == "kept"
        read_end, write_end = os.pipe()
        buffer = ctypes.create_string_buffer(1)
        wanted = threading.Event()

        thread = threading.Thread(target=load_batch, args=(wanted, write_end), daemon=True)
        thread.start()
        if kept:
            node.stuck()
            sys.setswitchinterval(3600)  # or the loader may slip in between the next two lines
            wanted.set()
            keeping.read(read_end, buffer, 1)
        else:
            wanted.set()
            releasing.read(read_end, buffer, 1)
        thread.join()
        os.close(read_end)
        os.close(write_end)

    node.ready()
    train(node, at_epoch_end)


if __name__ == "__main__":
    main()
