"""Scenario `condition-lost-wakeup`: a trainer and a producer with a condition each."""

import threading

from repro.nodes.node import start
from repro.nodes.plain import train


class Feed(object):
    """A producer thread refills when asked, and says so."""

    def __init__(self):
        self._lock = threading.Lock()
        self._asked = threading.Condition(self._lock)
        self._filled = threading.Condition(self._lock)
        self._wanted = 0
        self._made = 0

    def produce(self):
        while True:
            with self._lock:
                self._asked.wait_for(lambda: self._made < self._wanted)
                self._made += 1
                self._filled.notify()

    def ask(self):
        with self._lock:
            self._wanted += 1
            self._asked.notify()

    def is_filled(self):
        with self._lock:
            return self._made == self._wanted

    def wait_checked(self):
        with self._lock:
            self._filled.wait_for(lambda: self._made == self._wanted)

    def wait_unchecked(self):
        with self._lock:
            self._filled.wait()


def main():
    node = start()
    feed = Feed()
    producer = threading.Thread(target=feed.produce, name="producer")
    producer.daemon = True
    producer.start()

    def at_epoch_end(stuck):
        feed.ask()
        if stuck and node.arm == "unchecked":
            while not feed.is_filled():  # the producer is the quicker one
                pass
            node.stuck()
            feed.wait_unchecked()
        else:
            feed.wait_checked()

    node.ready()
    train(node, at_epoch_end)


if __name__ == "__main__":
    main()
