"""The in-job flight recorder: a memory-mapped ring of events that can be read while the job hangs.

Standard library only, CPython 3.6 to 3.14; the folder can be copied into a job as it is, under any name.
See :mod:`.layout` for the file, :mod:`.env` for the environment variables, :mod:`.tf1` and :mod:`.keras`
for hooks::

    rec = Recorder.from_env()
    for epoch in range(10):
        for batch in rec.batches(dataset, epoch):
            train(batch)
"""

from .counts import Counts, read_counts
from .layout import EventKind
from .null import NullRecorder
from .reader import (
    Event,
    Header,
    LastError,
    Recording,
    RecordingError,
    Totals,
    decode,
    decode_header,
    read,
    read_header,
)
from .spans import LastBatch, Span, Step, last_batch, open_spans, steps
from .writer import Recorder

__all__ = [
    "Counts",
    "Event",
    "EventKind",
    "Header",
    "LastBatch",
    "LastError",
    "NullRecorder",
    "Recorder",
    "Recording",
    "RecordingError",
    "Span",
    "Step",
    "Totals",
    "decode",
    "decode_header",
    "last_batch",
    "open_spans",
    "read",
    "read_counts",
    "read_header",
    "steps",
]
