"""Scenario `nfs-like-stall`: the input lies on a file system whose server stops answering.

The file system is ours, in a mount namespace of this process: it goes with the processes in it, however they end.
"""

import ctypes
import os
import subprocess
import sys

from repro.nodes import disk_server
from repro.nodes.node import start
from repro.nodes.plain import train

CLONE_NEWNS = 0x20000
CLONE_NEWUSER = 0x10000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
libc = ctypes.CDLL(None, use_errno=True)


def check(answer, what):
    if answer:
        raise OSError(ctypes.get_errno(), "%s: %s" % (what, os.strerror(ctypes.get_errno())))


def own_mounts():
    """Mounts of this process and its children that nobody else sees."""
    user, group = os.geteuid(), os.getegid()
    check(libc.unshare(CLONE_NEWNS if user == 0 else CLONE_NEWNS | CLONE_NEWUSER), "unshare")
    if user:
        for name, line in (("setgroups", "deny"), ("uid_map", "0 %d 1" % user), ("gid_map", "0 %d 1" % group)):
            with open("/proc/self/" + name, "w") as file:
                file.write(line)
    check(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "mount --make-rprivate /")


def main():
    node = start()
    own_mounts()
    directory = os.path.join(node.directory, "share")
    os.mkdir(directory)
    server = subprocess.Popen(
        [sys.executable, "-S", disk_server.__file__, directory], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    if server.stdout.readline() != b"mounted\n":
        raise OSError("no disk could be mounted: see above")
    path = os.path.join(directory, "rows")
    with open(path, "wb") as file:
        file.write(b"row" * 100)

    def at_epoch_end(stuck):
        if stuck and node.arm == "silent":
            server.stdin.write(b"stall\n")
            server.stdin.flush()
            node.stuck()
        with open(path, "rb") as file:
            file.read()

    node.ready()
    train(node, at_epoch_end)


if __name__ == "__main__":
    main()
