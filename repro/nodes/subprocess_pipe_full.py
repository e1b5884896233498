"""Scenario `subprocess-pipe-full`: a tool that says more than a pipe holds."""

import subprocess
import sys

from repro.nodes.node import start
from repro.nodes.plain import train

# Lines within what a pipe takes in one piece: a longer write that is interrupted half-way, as by a debugger that
# attaches, returns early, and an unbuffered Python takes that for all.
TALK = "for line in range(%d): print('x' * 999)"
LITTLE, MUCH = 1, 1000  # kB; a pipe holds 64


def main():
    node = start()

    def at_epoch_end(stuck):
        said = MUCH if stuck else LITTLE
        tool = subprocess.Popen(
            [sys.executable, "-S", "-c", TALK % said], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
        )
        if node.arm == "communicate":
            tool.communicate()
            return
        if stuck:
            node.stuck()
        tool.wait()
        tool.stdout.read()
        tool.stdout.close()

    node.ready()
    train(node, at_epoch_end)


if __name__ == "__main__":
    main()
