"""Scenario `slow-input`: the last step of each epoch waits for a pipe whose writer takes its time."""

import os
import subprocess
import sys

from repro.nodes.node import start
from repro.nodes.plain import train

SLOW_WRITER = "import os, time\nwhile os.read(0, 1): time.sleep(1.5); os.write(1, b'x')"


def main():
    node = start()
    writer = subprocess.Popen([sys.executable, "-S", "-c", SLOW_WRITER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def at_epoch_end(stuck):
        if stuck:
            node.stuck()
        os.write(writer.stdin.fileno(), b"?")
        os.read(writer.stdout.fileno(), 1)

    node.ready()
    train(node, at_epoch_end)


if __name__ == "__main__":
    main()
