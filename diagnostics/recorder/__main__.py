"""``python -m diagnostics.recorder FILE [--json]``: a recording as text, or as one JSON document."""

import argparse
import json
import signal
import sys
from typing import Any, Dict, Iterator, List, Optional

from .reader import Recording, RecordingError, read
from .spans import last_batch, open_spans


def to_plain(recording: Recording) -> Dict[str, Any]:
    """The recording as what JSON can hold."""
    batch = last_batch(recording)
    return {
        "header": recording.header._asdict(),
        "totals": recording.totals._asdict(),
        "open": [dict(span._asdict(), kind=span.kind.name) for span in open_spans(recording)],
        "last_batch": batch._asdict() if batch else None,
        "error": recording.error._asdict() if recording.error else None,
        "torn": recording.torn,
        "lost": recording.lost,
        "damaged": recording.damaged,
        "events": [dict(event._asdict(), kind=event.kind.name) for event in recording.events],
    }


def format_recording(recording: Recording, newest: int) -> Iterator[str]:
    """Lines of text, with the newest events. Times count from the recorder's opening, seconds."""
    header, totals = recording.header, recording.totals
    start = header.created_mono
    yield "rank %s, pid %d on %s, %s, %s" % (
        header.rank, header.pid, header.host, header.runtime or "no framework", header.interpreter,
    )  # fmt: skip
    yield "%d events, %d steps begun, %d ended, %d epoch ends, %d ends of sequence, %d errors" % (
        totals.events, totals.steps_begun, totals.steps_ended, totals.epoch_ends, totals.sequence_ends,
        totals.errors,
    )  # fmt: skip
    if recording.torn or recording.lost or recording.damaged:
        yield "%d torn, %d missing, %d damaged entries" % (recording.torn, recording.lost, recording.damaged)
    for span in open_spans(recording):
        yield "open: %s %s thread %d step %d epoch %d, since %s%.6f" % (
            span.kind.name, span.label, span.thread, span.step, span.epoch, "" if span.exact else "before ",
            span.since - start,
        )  # fmt: skip
    batch = last_batch(recording)
    if batch:
        yield "last batch: epoch %d, number %d, %s rows%s" % (
            batch.epoch, batch.index, batch.rows if batch.rows >= 0 else "?",
            ", then the end of the sequence" if batch.end_of_sequence else "",
        )  # fmt: skip
    if recording.error:
        yield "last error: %s" % recording.error.text
    for event in recording.events[-newest:] if newest else ():
        yield "%9d %12.6f %-15s thread %d step %d epoch %d value %d %s%s" % (
            event.seq, event.mono - start, event.kind.name, event.thread, event.step, event.epoch,
            event.value, event.label, " failed" if event.failed else "",
        )  # fmt: skip


def printable(line: str) -> str:
    """Without what would steer the terminal: the file's texts are not trusted."""
    return "".join(char if char.isprintable() else "\\x%02x" % ord(char) for char in line)


def main(argv: Optional[List[str]] = None) -> int:
    """The command. Ends with 0, or 1 if the file is not a recording or cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m diagnostics.recorder", description="Show a recording.")
    parser.add_argument("file")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("--newest", type=int, default=20, metavar="N", help="events to show as text (20)")
    options = parser.parse_args(argv)
    try:
        recording = read(options.file)
    except (OSError, RecordingError) as error:
        sys.stderr.write("%s: %s\n" % (options.file, error))
        return 1
    if options.json:
        json.dump(to_plain(recording), sys.stdout)
        sys.stdout.write("\n")
    else:
        for line in format_recording(recording, max(0, options.newest)):
            print(printable(line))
    return 0


if __name__ == "__main__":
    # Whoever reads the output may have enough of it: end as other tools do.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main())
