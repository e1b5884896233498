"""NCCL's own view of its communicators, asked twice of the RAS service that a process of the job runs.

One process of each host listens, at localhost:28028 unless NCCL_RAS_ADDR says otherwise, and answers for the whole job.
Nobody is stopped for it. The talk: `src/ras/client.cc` of NCCL 2.24 to 2.28; older than 2.28 it has no JSON. CPython
3.6, the standard library alone.
"""

import re
import socket
import time
from typing import Any, Dict, List, Optional, Tuple

from diagnostics.collector import namespaces, procfs
from diagnostics.collector.environment import environ_of
from diagnostics.collector.look import Fields, Look

PORT = 28028
MOST = 8 << 20
"""Bytes of an answer. A thousand ranks take one in JSON."""

_ADDRESS = "NCCL_RAS_ADDR"
_LIBRARY = re.compile(r"/lib(nccl|rccl|torch_cuda)[\w.-]*\.so")
_PATIENCE = 3
"""Seconds that the service waits for the other processes of the job."""


def asked(look: Look, wanted: Dict[str, Any], until: float) -> Fields:
    """Of a process whose service answered `{"first", "second", "why_not"}`. `wanted`: seconds of the `gap` between."""
    found, seen = {}, set()
    for pid in look.pids:
        address = _service_of(pid, look)
        where = (namespaces.identity(pid, "net"), address)
        if address and where not in seen:
            seen.add(where)
            found[pid] = _twice(pid, address, float(wanted["gap"]), until)
    return found


def _service_of(pid: int, look: Look) -> Optional[Tuple[str, int]]:
    """Where the process listens for questions; None where it does not."""
    addresses = look.sockets[pid].listens if pid in look.sockets else ()
    if not addresses or not any(map(_LIBRARY.search, procfs.mapped_files(pid))):
        return None
    given = environ_of(pid, (_ADDRESS,)).get(_ADDRESS, "").rpartition(":")[2]
    port = int(given) if given.isdigit() else PORT
    for address in addresses:
        host, _, number = address.rpartition(":")
        if number == str(port):
            host = host.strip("[]")
            return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port
    return None


def _twice(pid: int, address: Tuple[str, int], gap: float, until: float) -> Dict[str, str]:
    def ask() -> Dict[str, str]:
        answers: List[str] = []
        try:
            for number in range(2):
                if number:
                    time.sleep(max(0.0, gap))
                answers.append(_ask(address, until))
        except (OSError, ValueError) as error:
            why_not = "NCCL's RAS at %s:%d did not answer: %s" % (address[0], address[1], error)
            return {"first": (answers or [""])[0], "second": "", "why_not": why_not}
        return {"first": answers[0], "second": answers[1], "why_not": ""}

    try:
        return namespaces.in_network_of(pid, ask) if namespaces.is_elsewhere(pid, "net") else ask()
    except OSError as error:
        return {"first": "", "second": "", "why_not": "NCCL's RAS is in a network that may not be entered: %s" % error}


def _ask(address: Tuple[str, int], until: float) -> str:
    """Its report, in JSON where it knows that, else in text.

    Raises: OSError: it does not answer in time. ValueError: something else listens there.
    """
    with socket.create_connection(address, timeout=_left(until, 2.0)) as service:
        if not _say(service, "CLIENT PROTOCOL 2", until).startswith("SERVER PROTOCOL "):
            raise ValueError("it does not speak RAS's protocol")
        _say(service, "TIMEOUT %d" % _PATIENCE, until)
        json = _say(service, "SET FORMAT json", until).strip() == "OK"
        service.sendall(b"STATUS\n" if json else b"VERBOSE STATUS\n")
        parts, size = [], 0
        while size < MOST:
            service.settimeout(_left(until, 3.0 * _PATIENCE))
            part = service.recv(1 << 16)
            if not part:
                break
            parts.append(part)
            size += len(part)
    return b"".join(parts).decode("utf-8", "replace")


def _say(service: socket.socket, line: str, until: float) -> str:
    """One line to it, one line back."""
    service.settimeout(_left(until, 2.0))
    service.sendall(line.encode("ascii") + b"\n")
    answer = b""
    while not answer.endswith(b"\n") and len(answer) < 1024:
        part = service.recv(1)
        if not part:
            raise OSError("it closed the connection")
        answer += part
    return answer.decode("ascii", "replace")


def _left(until: float, most: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise OSError("there was no time left")
    return min(left, most)
