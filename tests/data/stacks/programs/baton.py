"""The build of an extension that waits for a lock file which nobody takes away."""

import os
import tempfile

from torch.utils.file_baton import FileBaton


def build():
    path = os.path.join(tempfile.mkdtemp(), "lock")
    open(path, "w").close()
    FileBaton(path).wait()


print("ready", flush=True)
build()
