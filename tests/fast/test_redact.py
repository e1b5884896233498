"""What counts as a secret, what does not, and that a second pass changes nothing."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from secret_samples import DICE, PLANTED, READABLE, WEAK, private_key

from diagnostics import redact
from diagnostics.model import Collection, Connection, Evidence, Frame, Process, Thread


@pytest.mark.parametrize("name", PLANTED)
def test_no_planted_secret_stays(name: str) -> None:
    text, secret = PLANTED[name]
    redacted = redact.redact_text(text)
    assert secret not in redacted
    assert "[redacted:" in redacted
    assert redacted.count("\n") == text.count("\n")


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_around_a_secret_stays(name: str) -> None:
    text, _ = PLANTED[name]
    line = f"2026-01-02 worker:3 step 12 {text} host=10.0.0.1:2222"
    redacted = redact.redact_text(line)
    assert redacted.startswith("2026-01-02 worker:3 step 12")
    to_the_end = ("cookie", "set-cookie", "authorization odd", "aws header", "basic", "bearer")
    if name not in to_the_end:
        assert redacted.endswith("host=10.0.0.1:2222")


@pytest.mark.parametrize("text", READABLE)
def test_evidence_stays_readable(text: str) -> None:
    assert redact.redact_text(text) == text
    assert redact.redact_lines([text, text]) == (text, text)
    assert redact.redact_command(text.split()) == tuple(text.split())


@pytest.mark.parametrize("name", PLANTED)
def test_secrets_in_binary_are_masked_in_place(name: str) -> None:
    text, secret = PLANTED[name]
    data = b"\x00\x01LBFR\xff\x00" + text.encode() + b"\x00" * 9 + bytes(range(32))
    masked = redact.redact_binary(data)
    assert len(masked) == len(data)
    assert secret.encode() not in masked
    assert masked.startswith(b"\x00\x01LBFR\xff\x00") and masked.endswith(b"\x00" * 9 + bytes(range(32)))
    assert redact.redact_binary(masked) == masked


@pytest.mark.parametrize("prefix", ["", "2026-01-02 03:04:05 INFO loader: "])
@pytest.mark.parametrize("begin, end", [(0, None), (0, -1), (0, 5), (1, None), (3, None), (2, 6)])
def test_a_private_key_in_a_log_is_found_also_where_it_is_cut(prefix: str, begin: int, end: int | None) -> None:
    """A log tail is a tuple of lines, and may begin or end in the middle of a key."""
    key = private_key("EC PRIVATE KEY")[begin:end]
    lines = ["step 1", *(prefix + line for line in key), "step 2"]
    redacted = redact.redact_lines(lines)
    assert len(redacted) == len(lines)
    assert redacted[0] == "step 1" and redacted[-1] == "step 2"
    body = [line for line in key if not line.startswith("-----")]
    assert not [line for line in body if line in "\n".join(redacted)]


def test_a_command_loses_whole_values_and_nothing_else() -> None:
    command = (
        "python",
        "train.py",
        "--password",
        "with, a space & more",
        "--token=a,b;c=d e",
        "--steps",
        "5",
    )
    redacted = (
        "python",
        "train.py",
        "--password",
        "[redacted:password]",
        "--token=[redacted:token]",
        "--steps",
        "5",
    )
    assert redact.redact_command(command) == redacted
    assert redact.redact_command(["--use_token", "train.py"]) == ("--use_token", "train.py")
    assert redact.redact_command(["--password", "--verbose"]) == ("--password", "--verbose")
    assert redact.redact_command(["-c", "", "x"]) == ("-c", "", "x")


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in _strings(part)]
    return [text for part in value for text in _strings(part)] if isinstance(value, (list, tuple)) else []


@pytest.mark.parametrize("name", PLANTED)
def test_every_string_of_the_model_is_redacted(name: str) -> None:
    """GIVEN a secret in each string field that there is, found by type, WHEN redacted, THEN all are gone."""
    text, secret = PLANTED[name]
    collection = filled(Collection, text)
    assert isinstance(collection, Collection)
    redacted = redact.redact_collection(collection)
    texts = _strings(msgspec.to_builtins(redacted))
    assert len(texts) > 40
    assert not [found for found in texts if secret in found]


def filled(kind: object, text: str) -> object:
    """A value of a type of the model with `text` in every string of it, also in fields added later."""
    info = msgspec.inspect.type_info(kind)
    return _filled(info, text)


def _filled(info: msgspec.inspect.Type, text: str) -> object:
    match info:
        case msgspec.inspect.StructType():
            return info.cls(**{field.name: _filled(field.type, text) for field in info.fields})
        case msgspec.inspect.StrType():
            return text
        case msgspec.inspect.VarTupleType() | msgspec.inspect.ListType():
            return (_filled(info.item_type, text), _filled(info.item_type, text))
        case msgspec.inspect.DictType():
            return {"a": text, text: "b"}
        case msgspec.inspect.UnionType():
            return _filled(next(t for t in info.types if not isinstance(t, msgspec.inspect.NoneType)), text)
        case msgspec.inspect.EnumType():
            return next(iter(info.cls))
        case msgspec.inspect.BoolType():
            return True
        case msgspec.inspect.IntType():
            return 1
        case msgspec.inspect.FloatType():
            return 1.0
    raise AssertionError(f"teach this test about {info}")


def test_a_collection_without_secrets_is_left_alone() -> None:
    process = Process("worker:0", 1, "h", command=("python", "a.py"), log_tail=("x", "", "y\nz"))
    collection = Collection(1.0, 2.0, (process,), expected=("worker:0",))
    assert redact.redact_collection(collection) == collection


def test_other_values_of_the_model_can_be_redacted_as_well() -> None:
    evidence = Evidence(fact=f"password={WEAK}", source="log", ranks=("worker:0",))
    assert redact.rebuild(evidence, lambda value, _: redact.redact_text(value)).fact == "password=[redacted:password]"


_pieces = st.sampled_from(
    [text for text, _ in PLANTED.values()]
    + [
        "password",
        "token",
        "=",
        ": ",
        "://",
        "@",
        "[redacted:password]",
        "[redacted:",
        "]",
        "\n",
        '"',
        "'",
        "\\",
        " ",
        "-----BEGIN ",
        "-----END RSA PRIVATE KEY-----",
        "Bearer ",
        "--",
        "&",
        ";",
        "sig=",
        "\\n",
        "*",
        "$6$",
        "Authorization",
        "wandb login ",
    ]
)
_texts = st.lists(_pieces | st.text(max_size=8), max_size=10).map("".join)


@given(_texts)
@settings(max_examples=400, deadline=None)
def test_redacting_twice_is_redacting_once(text: str) -> None:
    once = redact.redact_text(text)
    assert redact.redact_text(once) == once
    assert once.count("\n") == text.count("\n")


@given(st.lists(_texts, max_size=5))
@settings(max_examples=200, deadline=None)
def test_lines_and_commands_keep_their_number_and_their_first_redaction(lines: list[str]) -> None:
    for function in (redact.redact_lines, redact.redact_command):
        once = function(lines)
        assert len(once) == len(lines)
        assert function(once) == once


@given(st.binary(max_size=60), _texts, st.binary(max_size=60))
@settings(max_examples=200, deadline=None)
def test_binary_keeps_its_length_and_its_first_redaction(before: bytes, text: str, after: bytes) -> None:
    data = before + text.encode("utf-8", "surrogatepass") + after
    once = redact.redact_binary(data)
    assert len(once) == len(data)
    assert redact.redact_binary(once) == once


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "password=",
        "token",
        "://",
        "://a:",
        "-----BEGIN RSA PRIVATE KEY-----\n",
        "-----END RSA PRIVATE KEY-----\n",
        "=",
        "-",
        "--a ",
        "\\",
        '"',
        "'password': '",
        "A1b",
        "a/",
        "eyJ",
        "<name>key",
        "-u a:",
        "Bearer ",
        "[redacted:a]",
        "login a ",
        "mysql ",
        " ",
        "00 ",
        "x@",
        "://u:p@",
        "wandb login ",
        "token=,",
        'password:\\"',
        "\n",
        "sig=&",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
    ],
)
@pytest.mark.timeout(300)
def test_hostile_text_takes_time_in_proportion(unit: str) -> None:
    """GIVEN text that makes a careless pattern look again at all that it has seen, THEN this ends at all."""
    size = 100_000
    text = (unit * (size // len(unit) + 1))[:size]
    once = redact.redact_text(text)
    assert once.count("\n") == text.count("\n")
    assert len(redact.redact_binary(text.encode())) == size


def test_nothing_is_taken_for_a_secret_in_a_large_collection() -> None:
    collection = large_collection()
    assert redact.redact_collection(collection) == collection


def large_collection() -> Collection:
    """5 processes, 40 threads each, 25 frames each; stacks repeat, lines differ."""
    functions = [
        f"tensorflow::data::{DICE.choice(['Map', 'Batch', 'Repeat'])}DatasetOp{i}::GetNext" for i in range(300)
    ]
    processes = []
    for rank in range(5):
        threads = []
        for tid in range(40):
            frames = tuple(
                Frame(functions[(tid % 8 * 25 + n) % 300], "/usr/lib/libtensorflow_framework.so.1", 0, True)
                for n in range(25)
            )
            threads.append(Thread(1000 + tid, f"tf_worker_{tid}", frames))
        connections = tuple(
            Connection(f"10.0.0.{rank}:{2222 + n}", f"10.0.1.{n}:2222", "ESTABLISHED") for n in range(20)
        )
        log = tuple(f"INFO:tensorflow:loss = 0.{n}313, step = {n} (0.2 sec)" for n in range(200))
        command = ("python", "-u", "train.py", f"--task_index={rank}")
        processes.append(
            Process(
                f"worker:{rank}",
                100 + rank,
                "host",
                command=command,
                threads=tuple(threads),
                connections=connections,
                log_tail=log,
            )
        )
    return Collection(1.0, 2.0, tuple(processes))
