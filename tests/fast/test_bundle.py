"""A bundle holds what was collected, without its secrets, for its owner only; all of it or nothing."""

from __future__ import annotations

import errno
import io
import math
import os
import stat
import tarfile
from pathlib import Path

import msgspec
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from secret_samples import PLANTED
from test_redact import filled, large_collection

from diagnostics import bundle, redact
from diagnostics.bundle import writing
from diagnostics.bundle.form import is_name
from diagnostics.errors import EvidenceError, MissingError, UsageError
from diagnostics.model import Collection, Event, Flight, Frame, Process, Sample, Thread

EMPTY = Collection(1.0, 2.0, ())


def unpacked(path: Path) -> bytes:
    return zstandard.ZstdDecompressor().decompress(path.read_bytes())


_words = st.text(st.characters(codec="utf-8"), max_size=12)
_numbers = st.integers(-(2**63), 2**63 - 1)
_floats = st.floats(allow_nan=False, allow_infinity=False)
_frames = st.builds(Frame, function=_words, file=_words, line=_numbers, native=st.booleans())
_threads = st.builds(Thread, tid=_numbers, name=_words, frames=st.lists(_frames, max_size=3).map(tuple))
_processes = st.builds(
    Process,
    rank=_words,
    pid=_numbers,
    host=_words,
    pause=_floats,
    command=st.lists(_words, max_size=3).map(tuple),
    threads=st.lists(_threads, max_size=3).map(tuple),
    log_tail=st.lists(_words, max_size=3).map(tuple),
    exit_status=st.none() | st.integers(-64, 255),
)
_collections = st.builds(
    Collection,
    collected_at=_floats,
    seconds=_floats,
    processes=st.lists(_processes, max_size=3).map(tuple),
    scenario=st.dictionaries(_words, _words, max_size=2),
)
# No word is as long as the last part, so that no name is a folder of another.
_names = st.lists(_words, min_size=1, max_size=3).map(lambda parts: bundle.member_name(*parts, "longer-than-others"))


@given(_collections, st.dictionaries(_names, st.binary(max_size=2000), max_size=4))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_read(tmp_path: Path, collection: Collection, files: dict[str, bytes]) -> None:
    attachments = {name: bundle.Attachment(data, bundle.Kind.RECORDER) for name, data in files.items()}
    read = bundle.read(bundle.write(tmp_path / "a.tar.zst", collection, attachments))
    assert read.collection == redact.redact_collection(collection)
    assert read.attachments == {name: redact.redact_binary(data) for name, data in files.items()}
    assert [member.name for member in read.index.members] == [bundle.COLLECTION, *files]


def test_a_bundle_read_and_written_again_is_the_same(tmp_path: Path) -> None:
    collection = filled(Collection, "x password=y")
    assert isinstance(collection, Collection)
    first = bundle.write(tmp_path / "a.tar.zst", collection, {"log": "token=abc"})
    read = bundle.read(first)
    second = bundle.write(tmp_path / "b.tar.zst", read.collection, read.attachments)
    assert first.read_bytes() == second.read_bytes()


def test_any_tar_lists_it_and_the_index_is_first(tmp_path: Path) -> None:
    path = bundle.write(tmp_path / "a.tar.zst", EMPTY, {"ranks/worker-0/log": "hello"})
    with tarfile.open(fileobj=io.BytesIO(unpacked(path))) as tar:
        assert tar.getnames() == ["index.json", "collection.json", "ranks/worker-0/log"]
    assert bundle.read(path).text("ranks/worker-0/log") == "hello"


@pytest.mark.parametrize("name", PLANTED)
def test_no_secret_is_in_the_file(tmp_path: Path, name: str) -> None:
    """GIVEN a secret in every string of a collection and in attachments, WHEN written, THEN gone."""
    text, secret = PLANTED[name]
    log = ("step 1", *text.split("\n"), "step 2")
    words = text.split(" ") if name != "authorization odd" else [text]  # one argument, as curl -H has it
    process = Process("worker:0", 1, "host", command=("python", *words), log_tail=log)
    collection = filled(Collection, text)
    assert isinstance(collection, Collection)
    collection = msgspec.structs.replace(collection, processes=(*collection.processes, process))
    attachments: dict[str, str | bytes | bundle.Attachment] = {
        "ranks/worker-0/log": text,
        "ranks/worker-0/bytes": b"\xff\xfe " + text.encode(),
        "ranks/worker-0/flight": bundle.Attachment(b"\0\1\2" + text.encode() + b"\0", bundle.Kind.RECORDER),
    }
    raw = unpacked(bundle.write(tmp_path / "a.tar.zst", collection, attachments))
    for form in (secret, msgspec.json.encode(secret)[1:-1].decode(), secret.replace("\n", "\\n")):
        assert form.encode() not in raw
    longest = max(secret.replace("\\n", "\n").split("\n"), key=len)
    assert longest.encode() not in raw


def test_a_secret_in_the_name_of_an_attachment_is_redacted(tmp_path: Path) -> None:
    path = bundle.write(tmp_path / "a.tar.zst", EMPTY, {"logs/gh" + "p_" + "a1B2" * 9: "x"})
    assert list(bundle.read(path).attachments) == ["logs/redacted-github-token"]


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        path = bundle.write(tmp_path / "a.tar.zst", EMPTY, {})
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_odd_values_do_not_keep_the_evidence_from_being_written(tmp_path: Path) -> None:
    """Undecodable bytes in a command line come as surrogates; a counter may have given an infinity."""
    process = Process("w", 1, "h", command=("a\udcff",), pause=math.inf)
    path = bundle.write(tmp_path / "a.tar.zst", Collection(math.nan, 1.0, (process,)), {"a": "\udcff", "b": b"\xff"})
    read = bundle.read(path)
    assert read.collection.processes[0].command == ("a\\udcff",)
    assert (read.collection.collected_at, read.collection.processes[0].pause) == (-1.0, -1.0)
    assert read.attachments == {"a": b"\\udcff", "b": b"\\xff"}


def test_an_attachment_that_does_not_fit_is_named_in_the_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "MAX_MEMBER", 1000)
    path = bundle.write(tmp_path / "a.tar.zst", EMPTY, {"big": b"x" * 1001, "small": b"x" * 1000})
    read = bundle.read(path)
    assert list(read.attachments) == ["small"]
    assert read.index.left_out == {"big": "1001 bytes, more than 1000"}


@pytest.mark.parametrize(
    "name", ["", "/a", "../a", "a/../b", "a//b", "a/", ".a", "a\0", "a" * 101, "index.json", "a\\b"]
)
def test_names_that_lead_elsewhere_are_not_taken(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be called"):
        bundle.write(tmp_path / "a.tar.zst", EMPTY, {name: b""})
    assert not list(tmp_path.iterdir())


def test_a_file_cannot_be_a_folder_too(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        bundle.write(tmp_path / "a.tar.zst", EMPTY, {"a": b"", "a/b": b""})


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_a_name_can_be_made_of_anything(parts: list[str]) -> None:
    name = bundle.member_name(*parts)
    assert is_name(name)
    assert bundle.member_name("ranks", "worker:0", "log") == "ranks/worker-0/log"


# All or nothing


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(MissingError, match=r"No space left on device\. Free some space"):
        bundle.write(tmp_path / "a.tar.zst", EMPTY, {})
    assert not list(tmp_path.iterdir())


def test_a_failed_write_keeps_the_old_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = bundle.write(tmp_path / "a.tar.zst", EMPTY, {"a": "1"})

    def fails(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(MissingError):
        bundle.write(path, EMPTY, {"a": "2"})
    assert bundle.read(path).text("a") == "1"


def test_no_directory_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="No such file or directory"):
        bundle.write(tmp_path / "none" / "a.tar.zst", EMPTY, {})


# Taking it apart


def test_members_can_be_unpacked_into_a_new_directory(tmp_path: Path) -> None:
    read = bundle.read(bundle.write(tmp_path / "a.tar.zst", EMPTY, {"ranks/worker-0/log": "x"}))
    paths = bundle.extract(read, tmp_path / "out")
    assert [str(path.relative_to(tmp_path / "out")) for path in paths] == [
        "collection.json",
        "ranks/worker-0/log",
    ]
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}
    with pytest.raises(UsageError, match="not empty"):
        bundle.extract(read, tmp_path / "out")


def test_unpacking_does_not_follow_what_a_made_up_bundle_says(tmp_path: Path) -> None:
    index = bundle.Index(1, "", ())
    with pytest.raises(EvidenceError, match="names a member"):
        bundle.extract(bundle.Bundle(EMPTY, index, {"../../evil": b""}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_large_collection_is_read_as_it_was_written(tmp_path: Path) -> None:
    collection = large_collection()
    events = tuple(Event(float(n), 1.7e9 + n, "step", n, 1, n) for n in range(1000))
    flight = Flight("worker:0", "tf1", events, (), 1, 1000)
    processes = tuple(msgspec.structs.replace(process, flight=flight) for process in collection.processes)
    collection = msgspec.structs.replace(collection, processes=processes)
    path = bundle.write(tmp_path / "a.tar.zst", collection, {"log": b"INFO:tensorflow:loss = 0.1\n" * 10_000})
    assert bundle.read(path).collection == collection


def test_a_bundle_whose_samples_count_calls_as_earlier_releases_did_still_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Process("worker:0", 1, "h", samples=(Sample(1.0, (), io_bytes=7),))
    told = msgspec.to_builtins(Collection(1.0, 1.0, (process,)))
    told["processes"][0]["samples"][0]["io_calls"] = 3
    monkeypatch.setattr(writing, "_encode", lambda _: msgspec.json.encode(told))
    assert bundle.read(bundle.write(tmp_path / "a.tar.zst", EMPTY, {})).collection.processes == (process,)
    told["processes"] = ["io_calls"]
    with pytest.raises(EvidenceError, match="not as lastbatch"):
        bundle.read(bundle.write(tmp_path / "b.tar.zst", EMPTY, {}))
