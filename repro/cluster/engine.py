"""The engine whose containers make a cluster: Docker, or Podman, which serves the same interface on a socket."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from diagnostics.errors import MissingError

if TYPE_CHECKING:
    import docker

PATIENCE = 120
"""Seconds for an answer of the engine."""


class Address(NamedTuple):
    """Where an engine may answer, and what says so."""

    url: str
    source: str


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False


def addresses(environ: Mapping[str, str], is_socket: Callable[[str], bool] = _is_socket) -> tuple[Address, ...]:
    """In the order in which they are asked: the one that is named, and only that; else the sockets that are there.

    `DOCKER_HOST` is Docker's variable, `CONTAINER_HOST` Podman's (man 1 podman). Of the sockets Docker's come first,
    the machine's before the user's own.
    """
    for name in ("DOCKER_HOST", "CONTAINER_HOST"):
        if environ.get(name):
            return (Address(environ[name], name),)
    own = environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    paths = ("/var/run/docker.sock", f"{own}/docker.sock", "/run/podman/podman.sock", f"{own}/podman/podman.sock")
    return tuple(Address(f"unix://{path}", path) for path in paths if is_socket(path))


def connect(patience: int = PATIENCE) -> docker.DockerClient:
    """A client of the first engine that answers.

    Raises:
        MissingError: none does.
    """
    import docker
    from docker.errors import DockerException

    refused = []
    for url, source in addresses(os.environ):
        # With DOCKER_HOST go the variables for TLS.
        settings = {**os.environ, "DOCKER_HOST": url} if source == "DOCKER_HOST" else {"DOCKER_HOST": url}
        try:
            client = docker.from_env(timeout=patience, environment=settings)
        except (DockerException, OSError) as error:
            refused.append(f"{source}: {_words(error)}")
            continue
        try:
            client.ping()
            return client
        except (DockerException, OSError) as error:
            client.close()
            refused.append(f"{source}: {_words(error)}")
    raise MissingError(
        f"no engine for containers answers ({'; '.join(refused) or 'there is no socket of Docker or Podman'})",
        "Start one (.ci/docker-engine start, or podman system service), or name it in DOCKER_HOST or CONTAINER_HOST",
    )


def _words(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]


def described(client: docker.DockerClient) -> str:
    """Which engine it is, and its release."""
    said = client.version()
    first: Mapping[str, str] = next(iter(said.get("Components") or ()), {})
    name = "Podman" if first.get("Name", "").startswith("Podman") else "Docker"
    return f"{name} {first.get('Version') or said.get('Version', '')}".strip()
