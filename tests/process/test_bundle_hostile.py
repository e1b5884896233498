"""Whatever a file holds, reading it gives a bundle or one line on what is wrong, soon and in little memory.

`LASTBATCH_FUZZ=100000 pytest tests/process/test_bundle_hostile.py -k fuzz` fuzzes for longer.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import random
import resource
import subprocess
import sys
import tarfile
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard
from test_redact import filled

from diagnostics import bundle
from diagnostics.errors import EvidenceError
from diagnostics.model import Collection

ROOT = Path(__file__).parents[2]
COLLECTION = msgspec.json.encode(Collection(1.0, 2.0, ()))


def compressed(data: bytes, **options: Any) -> bytes:
    return zstandard.ZstdCompressor(**options).compress(data)


def member(name: str, data: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def listed(*members: tuple[str, bytes], **fields: Any) -> bytes:
    entries = [
        {"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "kind": "text"}
        for name, data in members
    ]
    return msgspec.json.encode({"format": 1, "tool_version": "1", "members": entries, **fields})


def tar(*members: tuple[tarfile.TarInfo, bytes], format: int = tarfile.USTAR_FORMAT) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=format) as file:
        for info, data in members:
            file.addfile(info, io.BytesIO(data))
    return archive.getvalue()


def plain(*members: tuple[str, bytes], index: bytes | None = None) -> bytes:
    """A bundle as it should be, but for what the caller asks for."""
    members = (("collection.json", COLLECTION), *members)
    files = [("index.json", listed(*members) if index is None else index), *members]
    return tar(*(member(name, data) for name, data in files))


def with_extra(info: tarfile.TarInfo, format: int = tarfile.USTAR_FORMAT) -> bytes:
    """One more member, which the index lists as a plain file."""
    index = listed(("collection.json", COLLECTION), (info.name, b""))
    return tar(member("index.json", index), member("collection.json", COLLECTION), (info, b""), format=format)


def refused(path: Path, data: bytes | None, match: str | None = None) -> EvidenceError:
    """`data` None: what is at the path already."""
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(EvidenceError, match=match) as caught:
        bundle.read(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500 + len(str(path))
    assert caught.value.hint
    return caught.value


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.tar.zst"


def test_the_tests_make_bundles_that_are_read(path: Path) -> None:
    path.write_bytes(compressed(plain(("a", b"b"))))
    assert bundle.read(path).attachments == {"a": b"b"}


@pytest.mark.parametrize(
    "data, match",
    [
        (b"", "is empty"),
        (b"hello\n" * 100, "is not a bundle"),
        (b"\x28\xb5\x2f\xfd", "cut short"),
        (gzip.compress(plain()), "is not a bundle"),
        (plain(), "is not a bundle"),
        (compressed(b"hello" * 1000), "damaged"),
        (compressed(bytes(20_000)), "damaged"),
        (compressed(plain()) + b"x", "follow its end"),
        (compressed(plain()) * 2, "follow its end"),
        (compressed(plain()) + b"\x50\x2a\x4d\x18\x04\0\0\0abcd", "follow its end"),
        (b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + compressed(plain()), "is not a bundle"),
        (compressed(plain(), write_content_size=False), "does not say"),
        (compressed(plain() + b"x" * 512), "does not end"),
        (compressed(plain() + bytes(20_480)), "does not end"),
        (compressed(plain()[:1024]), "damaged"),
    ],
)
def test_what_is_no_bundle_is_refused(path: Path, data: bytes, match: str) -> None:
    refused(path, data, match)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    for path in (
        tmp_path,
        tmp_path / "none",
        tmp_path / "fifo",
        tmp_path / "loop",
        Path("/dev/zero"),
        Path("a\0b"),
    ):
        with pytest.raises(EvidenceError):
            bundle.read(path)


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/passwd", "a/../../b", "a//b", "a\\..\\b", ".ssh", "a/", "", "-rf", "a\nb"]
)
def test_names_that_lead_elsewhere_are_refused(path: Path, name: str) -> None:
    refused(path, compressed(plain((name, b"x"))))


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.DIRTYPE,
        b"\0",
        b"V",
        tarfile.CONTTYPE,
        tarfile.GNUTYPE_SPARSE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
    ],
)
def test_only_plain_files_are_taken(path: Path, kind: bytes) -> None:
    info, _ = member("evil", type=kind, linkname="/etc/passwd")
    refused(path, compressed(with_extra(info)), "damaged")


def test_extended_headers_are_refused(path: Path) -> None:
    info, _ = member("a" * 90, pax_headers={"path": "/etc/passwd"})
    refused(path, compressed(with_extra(info, tarfile.PAX_FORMAT)), "damaged")


@pytest.mark.parametrize(
    "index",
    [
        b"", b"{}", b"[]", b"null", b"\xff", b'{"format": "1"}', b'{"format": 1}', b"{" * 100_000,
        b"[" * 1_000_000,
        b'{"format": 1, "x": ' + b"[" * 100_000,
        listed(), listed(extra=1), listed(("collection.json", b"x")), listed(("a", b"")),
        listed(("collection.json", COLLECTION), ("collection.json", COLLECTION)),
        listed(("collection.json", COLLECTION), ("a", b"")),
        listed(("collection.json", COLLECTION), ("index.json", b"")),
        listed(("collection.json", COLLECTION)).replace(b'"text"', b'"other"'),
        listed(("collection.json", COLLECTION)).replace(b'"size":', b'"size":-'),
        listed(("collection.json", COLLECTION)).replace(b'"size":', b'"size":1e400,"x":'),
    ],
)  # fmt: skip
def test_an_index_that_does_not_fit_is_refused(path: Path, index: bytes) -> None:
    refused(path, compressed(plain(index=index)), "damaged")


def test_formats_of_the_future_are_refused_by_name(path: Path) -> None:
    future = b'{"format": 7, "members": {"new": "shape"}}'
    refused(path, compressed(plain(index=future)), "bundle has format 7, this version reads 2")
    newer = b'{"format": 9, "ranks": []}'
    data = tar(member("index.json", listed(("collection.json", newer))), member("collection.json", newer))
    refused(path, compressed(data), "collection has format 9, this version reads 2")


@pytest.mark.parametrize(
    "collection",
    [
        b"", b"{}", b"null", b"[" * 1_000_000, COLLECTION + b" x", COLLECTION.replace(b"1.0", b'"1"'),
        COLLECTION.replace(b"1.0", b"null"), COLLECTION.replace(b"1.0", b"NaN"),
        COLLECTION.replace(b"{", b'{"x":1,'),
        COLLECTION.replace(b"[]", b'[{"rank":"a","pid":1.5,"host":"h"}]'),
        COLLECTION.replace(b"[]", b'[{"rank":"a","pid":1,"host":"h","state":"great"}]'),
        COLLECTION.replace(b"[]", b'[{"rank":"\xff","pid":1,"host":"h"}]'),
        b'{"processes":' + b"[" * 100_000,
    ],
)  # fmt: skip
def test_a_collection_of_wrong_types_is_refused(path: Path, collection: bytes) -> None:
    index = listed(("collection.json", collection))
    data = tar(member("index.json", index), member("collection.json", collection))
    refused(path, compressed(data), "damaged|collection is not as")


def test_a_field_of_another_release_is_not_called_damage(path: Path) -> None:
    """GIVEN a whole bundle with a field that is not known here, THEN nobody is sent to copy it again."""
    collection = COLLECTION[:-1] + b',"of_tomorrow":1}'
    index = listed(("collection.json", collection))
    path.write_bytes(compressed(tar(member("index.json", index), member("collection.json", collection))))
    with pytest.raises(EvidenceError, match="of_tomorrow") as caught:
        bundle.read(path)
    assert "damaged" not in caught.value.message and "release that wrote it ('1')" in caught.value.hint


def test_members_that_are_not_listed_or_not_as_listed_are_refused(path: Path) -> None:
    index = listed(("collection.json", COLLECTION))
    refused(path, compressed(plain(("a", b"x"), index=index)), "does not list")
    index = listed(("collection.json", COLLECTION), ("a", b"y"))
    refused(path, compressed(plain(("a", b"x"), index=index)), "checksum of 'a'")
    refused(path, compressed(plain(("b", b"y"), index=index)), "'a' is not where")
    refused(path, compressed(plain(("a", b""), ("a/b", b""))), "file and a folder")
    refused(path, compressed(plain(("a", b""), ("a", b""))), "damaged")


# Bombs


def measured(program: str) -> dict[str, Any]:
    """What a program said that ran in a process of its own, with how much memory and time it took."""
    start = textwrap.dedent(
        """
        import json, resource, sys, time
        from pathlib import Path
        from diagnostics import bundle
        from diagnostics.errors import EvidenceError
        def tried(path):
            before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
            try:
                bundle.read(path)
                said = ""
            except EvidenceError as error:
                said = str(error)
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            seconds = time.process_time() - started
            print(json.dumps({"said": said, "seconds": seconds, "megabytes": grown / 1024}))
        """
    )
    command = [sys.executable, "-c", start + textwrap.dedent(program)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=120)
    return msgspec.json.decode(done.stdout)  # type: ignore[no-any-return]


def run_length_frame(blocks: int, *, size: bytes = b"", window: int = 0x58) -> bytes:
    """A zstd frame of blocks that store one byte each and unpack to 128 KiB of it, by hand (RFC 8878)."""
    block = ((131_072 << 3) | (1 << 1)).to_bytes(3, "little") + b"\0"
    last = ((131_072 << 3) | (1 << 1) | 1).to_bytes(3, "little") + b"\0"
    descriptor = {0: b"\x00", 8: b"\xc0"}[len(size)]
    return b"\x28\xb5\x2f\xfd" + descriptor + bytes([window]) + size + block * (blocks - 1) + last


@pytest.mark.parametrize(
    "size", [b"", (10 << 30).to_bytes(8, "little"), (200 << 20).to_bytes(8, "little"), b"\xff" * 8]
)
@pytest.mark.parametrize("blocks", [80_000, 2_500_000])
def test_a_bomb_does_not_go_off(path: Path, size: bytes, blocks: int) -> None:
    """GIVEN 320 kB or 10 MB that unpack to 10 or 320 GB, WHEN read, THEN refused at once."""
    path.write_bytes(run_length_frame(blocks, size=size))
    result = measured(f"tried(Path({str(path)!r}))")
    assert "damaged" in result["said"]
    assert result["seconds"] < 3 and result["megabytes"] < 150


def test_a_member_that_is_a_bomb_is_refused(path: Path) -> None:
    huge = 200 << 20
    info = tarfile.TarInfo("index.json")
    info.size = huge
    path.write_bytes(compressed(info.tobuf(tarfile.USTAR_FORMAT) + bytes(huge)))
    result = measured(f"tried(Path({str(path)!r}))")
    assert "is larger than" in result["said"]
    assert result["megabytes"] < 50


def test_a_frame_that_asks_for_much_memory_is_refused(path: Path) -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=27)
    data = compressed(plain(("a", os.urandom(1000) + bytes(20 << 20))), compression_params=parameters)
    refused(path, data, "damaged")


def test_too_many_members_are_refused(path: Path) -> None:
    files = [(f"f{n}", b"") for n in range(bundle.MAX_MEMBERS + 5)]
    refused(path, compressed(plain(*files)), "more than")


def test_a_file_that_is_too_large_is_not_read(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(bundle.MAX_COMPRESSED + 1)
    refused(path, None, "too large")


# Chance


def sample(path: Path) -> bytes:
    attachments: dict[str, str | bundle.Attachment] = {
        "ranks/worker-0/log": "step 1\nstep 2\n" * 20,
        "ranks/worker-0/flight": bundle.Attachment(bytes(range(256)) * 8, bundle.Kind.RECORDER),
    }
    collection = filled(Collection, "x")
    assert isinstance(collection, Collection)
    return bundle.write(path, collection, attachments).read_bytes()


def test_a_bundle_that_is_cut_short_anywhere_is_refused(path: Path) -> None:
    data = sample(path)
    for length in range(len(data)):
        refused(path, data[:length])


def test_a_flipped_bit_anywhere_is_noticed_or_harmless(path: Path) -> None:
    data = sample(path)
    whole = bundle.read(path)
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 1 << at % 8
        path.write_bytes(changed)
        with contextlib.suppress(EvidenceError):
            assert bundle.read(path) == whole


def mutations(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Files that are nearly `data`, the same ones for a seed."""
    dice = random.Random(seed)
    for _ in range(count):
        changed = bytearray(data)
        for _ in range(dice.choice([1, 1, 2, 5, 20])):
            at = dice.randrange(len(changed) + 1)
            match dice.randrange(6):
                case 0:
                    changed[at : at + 1] = dice.randbytes(1)
                case 1:
                    del changed[at : at + dice.randrange(1, 64)]
                case 2:
                    changed[at:at] = dice.randbytes(dice.randrange(1, 64))
                case 3:
                    changed[at : at + 8] = dice.choice([b"\0" * 8, b"\xff" * 8, b"9" * 8])
                case 4:
                    start = dice.randrange(len(changed) + 1)
                    changed[at : at + 64] = changed[start : start + 64]
                case 5:
                    del changed[at:]
        yield bytes(changed)


def fuzz(read: Callable[[Path], Any], path: Path, files: Iterator[bytes], seconds: float = 5.0) -> dict[str, int]:
    """Read every file; anything but a value or an `EvidenceError` in time is raised. Says how often which."""
    counts = {"read": 0, "refused": 0}
    for data in files:
        path.write_bytes(data)
        started = time.process_time()
        try:
            read(path)
            counts["read"] += 1
        except EvidenceError as error:
            counts["refused"] += 1
            assert "\n" not in str(error), data
        except Exception as error:
            raise AssertionError(f"{type(error).__name__} for {data[:4096]!r}") from error
        assert time.process_time() - started < seconds, data
    return counts


@pytest.mark.timeout(0)
@pytest.mark.parametrize("layer", ["file", "tar", "json", "noise"])
def test_fuzz(path: Path, layer: str) -> None:
    """The deeper layers are mutated before they are compressed: the checksum would stop all of them."""
    count = int(os.environ.get("LASTBATCH_FUZZ", "2000")) // 4
    data = sample(path)
    archive = zstandard.ZstdDecompressor().decompress(data)
    collection = msgspec.json.encode(filled(Collection, "x"))

    def files() -> Iterator[bytes]:
        if layer == "file":
            yield from mutations(data, count, 1)
        elif layer == "tar":
            yield from (compressed(changed) for changed in mutations(archive, count, 2))
        elif layer == "json":
            for changed in mutations(collection, count, 3):
                index = listed(("collection.json", changed))
                yield compressed(tar(member("index.json", index), member("collection.json", changed)))
        else:
            dice = random.Random(4)
            for _ in range(count):
                yield dice.choice([b"", b"\x28\xb5\x2f\xfd"]) + dice.randbytes(dice.randrange(2000))

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    counts = fuzz(bundle.read, path, files())
    assert sum(counts.values()) == count
    assert counts["refused"] > count // 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 20  # kB
