"""Scenario `fork-with-threads`: a child inherits a held lock, and not its holder."""

import multiprocessing
import threading

from repro.nodes.node import start
from repro.nodes.plain import train

TABLE = threading.Lock()


def write_table(holding, forked):
    with TABLE:
        holding.set()
        forked.wait()


def count_rows():
    """In the child."""
    with TABLE:
        pass


def main():
    node = start()
    context = multiprocessing.get_context(node.arm)

    def at_epoch_end(stuck):
        if not stuck:
            return
        holding, forked = threading.Event(), threading.Event()
        writer = threading.Thread(target=write_table, args=(holding, forked), daemon=True)
        writer.start()
        holding.wait()
        child = context.Process(target=count_rows, daemon=True)
        child.start()
        forked.set()
        writer.join()
        if node.arm == "fork":
            node.stuck()
        child.join()

    node.ready()
    train(node, at_epoch_end)


if __name__ == "__main__":
    main()
