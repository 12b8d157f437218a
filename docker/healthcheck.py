"""Do the listeners greet? Arguments: smtp=HOST:PORT or imap=HOST:PORT; exit status 0 when every one answers as its protocol says."""

from __future__ import annotations

import socket
import sys

GREETINGS = {"smtp": b"220 ", "imap": b"* OK "}
TIMEOUT = 4.0  # seconds; well below the engine's own, so that the reason is printed


def greets(protocol: str, address: str) -> bool:
    """Whether what listens at HOST:PORT greets as `protocol` ("smtp" or "imap") does. Raises OSError when nothing answers."""
    host, _, port = address.rpartition(":")
    expected = GREETINGS[protocol]
    with socket.create_connection((host.strip("[]"), int(port)), TIMEOUT) as connection:
        received = b""
        while len(received) < len(expected) and (octets := connection.recv(512)):
            received += octets
    return received.startswith(expected)


def main(arguments: list[str]) -> int:
    """Exit status: 0 when all greet, 1 when one does not, 2 for wrong arguments."""
    for argument in arguments:
        protocol, _, address = argument.partition("=")
        if protocol not in GREETINGS or not address.rpartition(":")[2].isdigit():
            print(f"usage: healthcheck.py {{smtp|imap}}=HOST:PORT ..., not {argument!r}", file=sys.stderr)
            return 2
        try:
            if not greets(protocol, address):
                print(f"{argument}: no greeting", file=sys.stderr)
                return 1
        except OSError as fault:
            print(f"{argument}: {fault}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
