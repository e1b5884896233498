"""Scenario `lock-order`: a trainer and a saver thread, two locks."""

import threading

from repro.nodes.node import start
from repro.nodes.plain import train


class Saver(object):
    """Saves in a thread of its own; `meet` makes both threads hold one lock before either asks for the other."""

    def __init__(self, ordered):
        self.metrics = threading.Lock()
        self.checkpoint = threading.Lock()
        self._locks_of_saver = (self.metrics, self.checkpoint) if ordered else (self.checkpoint, self.metrics)

    def write_metrics(self, held):
        first, second = self._locks_of_saver
        with first:
            held()
            with second:
                pass

    def save_numbers(self, held):
        with self.metrics:
            held()
            with self.checkpoint:
                pass


def nothing():
    pass


def main():
    node = start()
    saver = Saver(ordered=node.arm == "ordered")

    def at_epoch_end(stuck):
        meets = stuck and node.arm == "opposite"
        held = threading.Barrier(2).wait if meets else nothing
        thread = threading.Thread(target=saver.write_metrics, args=(held,), daemon=True)
        thread.start()
        if meets:
            node.stuck()
        else:
            thread.join()
        saver.save_numbers(held)

    node.ready()
    train(node, at_epoch_end)


if __name__ == "__main__":
    main()
