"""Scenario `gc-pause`: full collections of a large heap, for longer than any step before."""

import gc
import time

from repro.nodes.node import start
from repro.nodes.plain import train

SECONDS = 6


def main():
    node = start()

    def at_epoch_end(stuck):
        if not stuck:
            return
        heap = [[index] for index in range(2000000)]
        node.stuck()
        end = time.time() + SECONDS
        while time.time() < end:
            gc.collect()
        del heap

    node.ready()
    train(node, at_epoch_end)


if __name__ == "__main__":
    main()
