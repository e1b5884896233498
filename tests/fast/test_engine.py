"""Which engine makes the containers of a cluster: the one that is named, else Docker's, else Podman's."""

from __future__ import annotations

import pytest

from diagnostics.errors import MissingError
from repro.cluster import engine

ALL = {
    "/var/run/docker.sock",
    "/run/user/7/docker.sock",
    "/run/podman/podman.sock",
    "/run/user/7/podman/podman.sock",
}
USER = {"XDG_RUNTIME_DIR": "/run/user/7"}


def sources(environ: dict[str, str], there: set[str]) -> list[str]:
    return [address.source for address in engine.addresses(environ, there.__contains__)]


def test_the_engine_that_is_named_is_the_only_one_asked() -> None:
    both = {"DOCKER_HOST": "tcp://a:2375", "CONTAINER_HOST": "unix:///p.sock", **USER}
    assert engine.addresses(both, ALL.__contains__) == (("tcp://a:2375", "DOCKER_HOST"),)
    assert engine.addresses({"CONTAINER_HOST": "unix:///p.sock"}, ALL.__contains__) == (
        ("unix:///p.sock", "CONTAINER_HOST"),
    )
    assert sources({"DOCKER_HOST": "", **USER}, {"/run/podman/podman.sock"}) == ["/run/podman/podman.sock"]


def test_sockets_are_asked_in_a_fixed_order() -> None:
    assert sources(USER, ALL) == [
        "/var/run/docker.sock",
        "/run/user/7/docker.sock",
        "/run/podman/podman.sock",
        "/run/user/7/podman/podman.sock",
    ]
    assert sources(USER, ALL - {"/var/run/docker.sock", "/run/podman/podman.sock"}) == [
        "/run/user/7/docker.sock",
        "/run/user/7/podman/podman.sock",
    ]
    assert engine.addresses({}, {"/var/run/docker.sock"}.__contains__)[0].url == "unix:///var/run/docker.sock"


@pytest.mark.parametrize("name", ["DOCKER_HOST", "CONTAINER_HOST"])
def test_an_engine_that_does_not_answer_is_named_with_what_named_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("docker")
    for variable in ("DOCKER_HOST", "CONTAINER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv(name, "unix:///nowhere/at/all.sock")
    with pytest.raises(MissingError, match=rf"no engine for containers answers \({name}: ") as caught:
        engine.connect(patience=5)
    assert "CONTAINER_HOST" in caught.value.hint


def test_without_any_socket_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("docker")
    monkeypatch.setattr(engine, "addresses", lambda _: ())
    with pytest.raises(MissingError, match="there is no socket of Docker or Podman"):
        engine.connect()
