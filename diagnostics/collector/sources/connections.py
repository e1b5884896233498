"""TCP connections with what waits on them, and who waits to be accepted."""

from diagnostics.collector.look import Fields, Look, plain


def sample(look: Look) -> Fields:
    return {pid: {"socket_bytes": found.bytes} for pid, found in look.sockets.items()}


def once(look: Look) -> Fields:
    return {
        pid: {
            "connections": plain(found.connections),
            "listens": list(found.listens),
            "listeners": plain(found.listeners),
        }
        for pid, found in look.sockets.items()
    }
