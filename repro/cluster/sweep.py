"""What an earlier run that was killed left behind: found by its labels, and removed before the next one starts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import docker
from docker.errors import APIError, NotFound

from repro.cluster import owner

OWNER, TRIAL, RANK = "lastbatch.owner", "lastbatch.trial", "lastbatch.rank"


def sweep(client: docker.DockerClient) -> tuple[str, ...]:
    """Remove everything whose owner has ended; the names of what was removed.

    What belongs to a program that still runs, or to another host, is left alone.
    """
    found = [*client.api.containers(all=True, filters={"label": OWNER}), *client.api.networks(filters={"label": OWNER})]
    trials = {thing["Labels"][TRIAL] for thing in found if owner.is_gone(thing["Labels"][OWNER])}
    return tuple(name for trial in sorted(trials) for name in remove(client, trial))


def remove(client: docker.DockerClient, trial: str) -> tuple[str, ...]:
    """Remove a trial's containers, also frozen ones, then its networks; their names.

    The kernel takes a container's qdiscs, packet filters and control groups away together with it.
    """
    label = {"label": f"{TRIAL}={trial}"}
    containers = client.api.containers(all=True, filters=label)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda container: _remove_container(client, container), containers))
    networks = client.api.networks(filters=label)
    for network in networks:
        with suppress(NotFound):
            client.api.remove_network(network["Id"])
    return (*(container["Names"][0].lstrip("/") for container in containers), *(n["Name"] for n in networks))


def _remove_container(client: docker.DockerClient, container: dict[str, Any]) -> None:
    with suppress(NotFound):
        if container["State"] == "paused":
            with suppress(APIError):  # thawed by somebody else meanwhile
                client.api.unpause(container["Id"])
        client.api.remove_container(container["Id"], force=True, v=True)
