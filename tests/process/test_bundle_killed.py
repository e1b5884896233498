"""A program that writes a bundle may be killed at any moment."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

from diagnostics import bundle

ROOT = Path(__file__).parents[2]


def test_a_killed_writer_leaves_no_half_bundle(tmp_path: Path) -> None:
    """GIVEN a program that writes a bundle over another, WHEN killed, THEN the bundle is whole."""
    program = textwrap.dedent(
        """
        import os, pathlib, sys
        from diagnostics import bundle
        from diagnostics.bundle import writing
        from diagnostics.model import Collection
        data = bundle.Attachment(os.urandom(1 << 20), bundle.Kind.MODEL)
        writing.redact.redact_binary = lambda data: data  # only the writing is looked at
        while True:
            bundle.write(pathlib.Path(sys.argv[1]), Collection(1.0, 2.0, ()), {"a": data})
            print("written", flush=True)
        """
    )
    path = tmp_path / "a.tar.zst"
    for attempt in range(6):
        writer = subprocess.Popen([sys.executable, "-c", program, path], cwd=ROOT, stdout=subprocess.PIPE)
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"written\n"
        time.sleep(0.007 * attempt)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        assert len(bundle.read(path).attachments["a"]) == 1 << 20
        assert all(other == path or other.name.startswith(".a.tar.zst.") for other in tmp_path.iterdir())
