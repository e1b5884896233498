"""Whose code is on a stack: a library's, wherever it is linked in, and not a user's that is called alike."""

from __future__ import annotations

import pytest

from diagnostics.frameworks.tensorflow1.sessions import trained_before
from diagnostics.model import Connection, Frame, Process, Thread, Versions
from diagnostics.stacks.spoken import partner_is_to
from diagnostics.stacks.symbols import library_of

SENT = (Connection("10.0.0.1:1", "10.0.0.2:2", "ESTABLISHED", bytes_sent=100_000),)


@pytest.mark.parametrize(
    ("frame", "library"),
    [
        (Frame("run", "/v/lib/python3.7/site-packages/tensorflow_core/python/client/session.py"), "tensorflow"),
        (Frame("tensorflow::DirectSession::Run", "libtensorflow_framework.so.2", native=True), "tensorflow"),
        (Frame("ncclProxyService", "/usr/lib/libnccl.so.2", native=True), "nccl"),
        (Frame("ncclGroupEndInternal", "libtorch_cuda.so", native=True), "nccl"),
        (Frame("grpc_core::ExecCtx::Flush", "_pywrap_tensorflow_internal.so", native=True), "grpc"),
        (Frame("wait", "/data/tensorflow_job/x.py"), ""),
        (Frame("tensorflow_step", "/data/tensorflow.py"), ""),
        (Frame("main", "nccl_bench.py"), ""),
        (Frame("nccl_like_reduce", "/data/nccl_job/reduce.py"), ""),
        (Frame("nccl_like_reduce", "/data/libreduce.so", native=True), ""),
    ],
)
def test_a_frame_is_a_librarys_by_its_own_place_or_namespace(frame: Frame, library: str) -> None:
    assert library_of(frame) == library


@pytest.mark.parametrize("file", ["/data/tensorflow_job/x.py", "/data/tensorflow.py", "tensorflow_x.py"])
def test_a_first_session_is_not_told_from_a_users_file_that_is_called_like_tensorflow(file: str) -> None:
    threads = (Thread(1, frames=(Frame("tensorflow_step", file, 3),)),)
    assert not trained_before(Process("worker:0", 1, "h", threads=threads, connections=SENT))


def test_without_stacks_the_framework_is_known_by_what_is_loaded() -> None:
    process = Process("worker:0", 1, "h", connections=SENT)
    assert not trained_before(process)
    assert trained_before(Process("worker:0", 1, "h", connections=SENT, versions=Versions(framework="tensorflow")))


@pytest.mark.parametrize(
    ("operation", "owed"),
    [
        ("send", "receive"), ("isend", "receive"), ("nccl:send 0->1", "receive"), ("send_object_list", "receive"),
        ("recv", "send"), ("irecv", "send"), ("recvAnysource", "send"), ("recv_object_list", "send"),
        ("all_reduce", ""), ("broadcast", ""), ("_coalesced", ""), ("", ""),
    ],
)  # fmt: skip
def test_who_sends_needs_one_that_receives(operation: str, owed: str) -> None:
    assert partner_is_to(operation) == owed
