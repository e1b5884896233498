"""What every node program shares: its spec, saying that it is ready, staying until it is released.

A node is started as `python -m repro.nodes.PROGRAM SPEC.json`. The spec names its rank, the addresses of all
ranks, the settings, and its own directory. Its standard input is a lifeline: when that closes, whoever
started the node is gone and the node ends at once.
"""

import ctypes
import fcntl
import json
import os
import select
import sys
import threading

from diagnostics.recorder import NullRecorder, Recorder

PR_SET_PTRACER = 0x59616D61
PR_SET_PTRACER_ANY = ctypes.c_ulong(-1)


class Node(object):
    """The spec of this process, and its side of the talk with the cluster that started it."""

    def __init__(self, spec):
        self.rank = spec["rank"]
        self.role, index = self.rank.split(":")
        self.index = int(index)
        self.addresses = spec["addresses"]  # role -> list of host:port
        self.settings = spec["settings"]
        self.arm = spec["arm"]
        self.directory = spec["directory"]
        self.data = spec.get("data", self.directory)  # where its input files lie
        by_hand = self.settings.get("launch", "hand") == "hand"  # else one process starts all ranks, with one file
        if by_hand and self.settings.get("recorder", True):
            self.recorder = Recorder(
                os.path.join(self.directory, "flight.lbrec"),
                rank=self.rank,
                runtime=spec["runtime"],
                expected=spec["expected"],
            )
        else:
            self.recorder = NullRecorder()

    def count(self, role):
        return len(self.addresses.get(role, ()))

    def ready(self):
        """Say that this rank is up. The cluster waits for this, never for a time."""
        self._say("ready")

    def stuck(self):
        """Say that what comes next does not come back."""
        self._say("stuck")

    def done(self):
        """Say that the work is done, then stay: servers of old releases crash when a client leaves first."""
        self.recorder.exit(0)
        self._say("done")
        threading.Event().wait()

    def leave(self):
        """Say that the work is done, and end: to the others this rank's connections close."""
        self.recorder.exit(0)
        self._say("done")
        os._exit(0)

    def tell(self, **counts):
        """What this rank has counted, for the outcome of the trial."""
        self._say("counts", json.dumps(counts))

    def _say(self, word, more=""):
        path = os.path.join(self.directory, word)
        part = "%s.%d" % (path, os.getpid())  # one process may have started several ranks
        with open(part, "w") as file:
            file.write(more or str(os.getpid()))
        os.rename(part, path)


def start():
    """Read the spec, tie this process to its lifeline, open the recorder."""
    with open(sys.argv[1]) as file:
        spec = json.load(file)
    # Where Yama restricts ptrace to ancestors, the collector is a cousin: let it in.
    ctypes.CDLL(None).prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0)
    _tie_to_lifeline()
    return Node(spec)


def _tie_to_lifeline():
    """Have the kernel end this process group when the lifeline closes: no thread, and no interpreter lock needed."""
    if os.getpid() == 1:
        # In a container of its own the kernel ignores a signal that nobody handles.
        threading.Thread(target=_end_with_lifeline, daemon=True).start()
        return
    fcntl.fcntl(0, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([0], [], [], 0)[0]:  # closed before we asked
        os._exit(0)


def _end_with_lifeline():
    while os.read(0, 1):
        pass
    os._exit(0)
