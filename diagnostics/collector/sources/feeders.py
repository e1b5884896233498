"""Whether a program's source fills queues of TensorFlow by threads of its own, or has queue runners. Only where asked.

A step that waits on a queue looks the same whoever was to fill it: nothing runs. The text of the program that calls the
step tells which of the two it is. CPython 3.6, the standard library alone.
"""

import os
import re
import time
from typing import Any, Dict, Iterable

from diagnostics.collector import namespaces
from diagnostics.collector.kernel import text_of
from diagnostics.collector.look import Fields, Look
from diagnostics.collector.sources import mounts

MOST_FILES = 8
MOST_SOURCE = 1 << 20

_RUNNERS = re.compile(
    r"\b(?:start_queue_runners|add_queue_runner|QueueRunner|\w+_input_producer|input_producer|(?:maybe_)?shuffle_batch\w*"
    r"|(?:maybe_)?batch_join|train\.(?:maybe_)?batch|bucket_by_sequence_length)\b"
)
"""What makes queue runners, or has made them (tf.train, 1.0 to 1.15)."""
_FILLS = re.compile(r"\.enqueue(?:_many)?\(")
_THREADS = re.compile(r"\b(?:Thread|ThreadPoolExecutor|ThreadPool|start_new_thread)\b")


def asked(look: Look, wanted: Dict[str, Any], until: float) -> Fields:
    """`feeds_itself` of each process. `wanted`: `files`, by process id the files of the program's own frames."""
    files = wanted.get("files", {})
    return {
        pid: {"feeds_itself": feeds_itself(_texts(pid, files.get(str(pid), ())))}
        for pid in look.pids
        if time.monotonic() < until
    }


def feeds_itself(texts: Iterable[str]) -> bool:
    """Whether these files have threads and put into a queue of the graph, and nothing that makes queue runners."""
    text = "\n".join(texts)
    return bool(_FILLS.search(text) and _THREADS.search(text)) and not _RUNNERS.search(text)


def _texts(pid: int, files: Iterable[str]) -> Iterable[str]:
    try:
        here = os.readlink("/proc/%d/cwd" % pid)
    except OSError:
        here = "/"
    paths = [os.path.join(here, path) for path in list(files)[:MOST_FILES] if path.endswith(".py")]
    return [text_of(namespaces.path_of(pid, path), MOST_SOURCE) for path in mounts.answering(pid, paths)]
