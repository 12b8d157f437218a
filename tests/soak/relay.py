"""A next hop that misbehaves in every way it knows, by chance, and notes what it has said 250 to."""

from __future__ import annotations

import random
import re
import socket
import threading
import time
from collections import Counter
from typing import Final

from tests.live.listening import Listening

_NUMBER: Final = re.compile(rb"<(m\d+)@ledger\.test>")
WAYS: Final = ("well", "busy", "refuses", "drops data", "drops end", "slow", "silent")
_WEIGHTS: Final = (60, 8, 8, 8, 8, 6, 2)


class Relay(Listening):
    """Behaves once `behave` was called; until then as chance has it."""

    def __init__(self, chance: random.Random) -> None:
        self.taken: Counter[str] = Counter()
        """Message → how often it was said to be taken."""
        self.ways: Counter[str] = Counter()
        self._chance = chance
        self._behaves = False
        self._lock = threading.Lock()
        super().__init__()

    def behave(self) -> None:
        """From now on."""
        self._behaves = True

    def serve(self, peer: socket.socket) -> None:
        """Transactions, until one ends the connection."""
        with peer.makefile("rb") as lines:
            peer.settimeout(60)
            while self._transactions(peer, lines):
                pass

    def _way(self) -> str:
        with self._lock:
            way = "well" if self._behaves else self._chance.choices(WAYS, _WEIGHTS)[0]
            self.ways[way] += 1
            return way

    def _transactions(self, peer: socket.socket, lines: object) -> bool:
        """One connection; always False. Each message in it is treated in a way of its own."""
        read = lines.readline  # type: ignore[attr-defined]
        way = self._way()
        if way == "busy":
            peer.sendall(b"421 4.3.2 too busy\r\n")
            return False
        if way == "silent":
            time.sleep(5)
            return False
        peer.sendall(b"220 far.test\r\n")
        while line := read():
            verb = line[:4].upper()
            if verb == b"EHLO":
                peer.sendall(b"250-far.test\r\n250 8BITMIME\r\n")
            elif verb == b"MAIL":
                way = self._way()
                peer.sendall(b"451 4.3.0 not now\r\n" if way == "busy" else b"250 ok\r\n")
            elif verb == b"RCPT":
                peer.sendall(b"450 4.2.1 later\r\n" if way == "refuses" else b"250 ok\r\n")
            elif verb == b"DATA":
                peer.sendall(b"354 go on\r\n")
                octets = b""
                while (line := read()) not in (b".\r\n", b""):
                    octets += line
                    if way == "drops data" and len(octets) > 200:
                        return False
                if not line or way in ("drops end", "drops data"):
                    return False
                self._said(peer, octets, slow=way == "slow")
            elif verb == b"QUIT":
                peer.sendall(b"221 bye\r\n")
                return False
            else:
                peer.sendall(b"250 ok\r\n")
        return False

    def _said(self, peer: socket.socket, octets: bytes, *, slow: bool) -> None:
        found = _NUMBER.search(octets)
        with self._lock:
            self.taken[found[1].decode() if found else "?"] += 1
        if slow:
            for octet in b"250 taken\r\n":
                peer.sendall(bytes((octet,)))
                time.sleep(0.05)
        else:
            peer.sendall(b"250 taken\r\n")
