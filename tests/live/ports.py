"""Ports on which nobody listens, and from which nobody connects: who takes one finds it free."""

import secrets
import socket
from contextlib import ExitStack

FIRST, LAST = 20_000, 32_000
"""Below those that the system gives to connections: a port of theirs may be taken between the look and its use, and whoever tries again
and again to connect to one is given it for his own end some day, and talks to himself."""


def free_ports(count: int) -> list[int]:
    """All of them others."""
    found: list[int] = []
    with ExitStack() as stack:
        while len(found) < count:
            probe = stack.enter_context(socket.socket())
            port = FIRST + secrets.randbelow(LAST - FIRST)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found.append(port)
    return found


def free_port() -> int:
    (port,) = free_ports(1)
    return port
